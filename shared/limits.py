"""How many requests a client may make in a minute (contract, section 4); flask-limiter decides."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from flask import Flask, Response, g
from flask_limiter import Limiter
from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, RateLimiter

from shared.errors import ApiError

log = logging.getLogger("leadgate.limits")

WINDOW_SECONDS = 60
REDIS_TIMEOUT_SECONDS = 0.5
REDIS_RETRY_SECONDS = 1.0


class Limits:
    """Counts requests of each client in fixed minutes: in Redis, or in this process where there is none.

    Asks flask-limiter's strategy once a request: its decorator asks twice, and its own headers once more.
    While Redis is gone, requests are counted in this process.
    """

    def __init__(
        self, app: Flask, per_minute: int, redis_url: str, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        options: dict[str, str | int | float | bool] = {}
        if redis_url:
            options = {
                "wrap_exceptions": True,
                "socket_timeout": REDIS_TIMEOUT_SECONDS,
                "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
            }
        self._limiter = Limiter(
            key_func=lambda: "",
            app=app,
            strategy="fixed-window",
            storage_uri=redis_url or "memory://",
            storage_options=options,  # type: ignore[arg-type]  # its own type knows neither floats nor flags
        )
        self._bucket = app.import_name
        self._per_minute = per_minute
        self._elapsed = elapsed
        self._in_process: RateLimiter = FixedWindowRateLimiter(MemoryStorage())
        self._redis_gone_until = float("-inf")
        app.after_request(_add_headers)

    def count(self, client: str, per_minute: int | None = None) -> None:
        """Counts one request of `client`, whose own limit is `per_minute` if set.

        Raises ApiError 429 when the minute's requests are used up.
        """
        limit = per_minute or self._per_minute
        try:
            if self._elapsed() < self._redis_gone_until:
                allowed, remaining, reset = self._ask(self._in_process, client, limit)
            else:
                allowed, remaining, reset = self._ask(self._limiter.limiter, client, limit)
        except StorageError as error:
            log.warning("Redis is gone, limits go on in this process: %s", error)
            self._redis_gone_until = self._elapsed() + REDIS_RETRY_SECONDS
            allowed, remaining, reset = self._ask(self._in_process, client, limit)
        g.rate_limit = (limit, remaining, reset)
        if not allowed:
            raise ApiError(
                429, "Rate limit exceeded", headers={"Retry-After": str(reset)}, extra={"retry_after": reset}
            )

    def _ask(self, strategy: RateLimiter, client: str, limit: int) -> tuple[bool, int, int]:
        """Whether the request is within the limit, how many are left, whole seconds to the next minute."""
        item = RateLimitItemPerMinute(limit)
        allowed = strategy.hit(item, self._bucket, client)
        stats = strategy.get_window_stats(item, self._bucket, client)
        seconds = math.ceil(stats.reset_time - time.time())
        return allowed, stats.remaining, min(max(seconds, 1), WINDOW_SECONDS)


def _add_headers(response: Response) -> Response:
    state: tuple[int, int, int] | None = g.get("rate_limit")
    if state is not None:
        limit, remaining, reset = state
        response.headers["X-RateLimit-Limit"] = str(limit)
        response.headers["X-RateLimit-Remaining"] = str(remaining)
        response.headers["X-RateLimit-Reset"] = str(reset)
        # The pair of the IETF draft "RateLimit header fields for HTTP".
        response.headers["RateLimit-Policy"] = f'"client";q={limit};w={WINDOW_SECONDS}'
        response.headers["RateLimit"] = f'"client";r={remaining};t={reset}'
    return response

"""How often a client may call, and try to sign in (contract, sections 3 and 4); flask-limiter decides."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable
from typing import TypeVar

from flask import Flask, Response
from flask_limiter import Limiter
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter, RateLimiter

from shared.columns import normalised
from shared.current import current_g
from shared.errors import too_many_requests
from shared.leased_window import LeasedWindow

log = logging.getLogger("leadgate.limits")

T = TypeVar("T")

WINDOW_SECONDS = 60
FAILED_LOGINS_OF_PAIR = 10
FAILED_LOGINS_OF_ADDRESS = 100
REDIS_TIMEOUT_SECONDS = 0.5
REDIS_RETRY_SECONDS = 1.0


class Limits:
    """Counts requests of each client in fixed minutes: in Redis, or in this process where there is none.

    Asks flask-limiter's strategy once a request: its decorator asks twice, and its own headers once more. In
    Redis that strategy leases some requests at once (shared/leased_window.py). While Redis is gone, requests
    are counted in this process.
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
        limiter = Limiter(
            key_func=lambda: "",
            strategy="fixed-window",
            storage_uri=redis_url or "memory://",
            storage_options=options,  # type: ignore[arg-type]  # its own type knows neither floats nor flags
        )
        # To an app that does not know it yet it adds hooks. They look for limits of routes, of which there
        # are none, for 140 µs a request.
        app.extensions["limiter"] = {limiter}
        limiter.init_app(app)
        self._shared = limiter.limiter
        storage = limiter.storage
        self._of_clients = (
            LeasedWindow(storage, elapsed) if isinstance(storage, RedisStorage) else self._shared
        )
        self._bucket = app.import_name
        self._per_minute = RateLimitItemPerMinute(per_minute)
        self._elapsed = elapsed
        self._in_process: RateLimiter = FixedWindowRateLimiter(MemoryStorage())
        self._redis_gone_until = float("-inf")
        app.after_request(_add_headers)

    def count(self, client: str, per_minute: int | None = None) -> None:
        """Counts one request of `client`, whose own limit is `per_minute` if set.

        Raises ApiError 429 when the minute's requests are used up.
        """
        item = RateLimitItemPerMinute(per_minute) if per_minute else self._per_minute
        key = (self._bucket, client)
        allowed, (remaining, reset) = self._ask(
            lambda strategy: (strategy.hit(item, *key), _left(strategy, item, key)), self._of_clients
        )
        current_g().rate_limit = (item.amount, remaining, reset)
        if not allowed:
            raise too_many_requests(reset)

    def begin_login(self, address: str, email: str) -> None:
        """Takes one of the failures that are left to this address, and to this email from it.

        Raises ApiError 429 where none is. What is taken before the password is looked at cannot be
        exceeded by many at once; `login_succeeded` gives it back.
        """
        for item, key in _login_limits(address, email):
            allowed, reset = self._ask(_hit_login(item, key, 1), self._shared)
            if not allowed:
                raise too_many_requests(reset)

    def login_succeeded(self, address: str, email: str) -> None:
        """It was no failure."""
        for item, key in _login_limits(address, email):
            self._ask(_hit_login(item, key, -1), self._shared)

    def _ask(self, question: Callable[[RateLimiter], T], shared: RateLimiter) -> T:
        """The answer of the shared counts, or of this process's while Redis is gone."""
        if self._elapsed() >= self._redis_gone_until:
            try:
                return question(shared)
            except StorageError as error:
                log.warning("Redis is gone, limits go on in this process: %s", error)
                self._redis_gone_until = self._elapsed() + REDIS_RETRY_SECONDS
        return question(self._in_process)


def _left(strategy: RateLimiter, item: RateLimitItem, key: tuple[str, ...]) -> tuple[int, int]:
    """How many requests are left, and whole seconds to the next minute."""
    stats = strategy.get_window_stats(item, *key)
    seconds = math.ceil(stats.reset_time - time.time())
    return stats.remaining, min(max(seconds, 1), WINDOW_SECONDS)


def _hit_login(
    item: RateLimitItem, key: tuple[str, ...], cost: int
) -> Callable[[RateLimiter], tuple[bool, int]]:
    """Asks for `cost` failures, and for the seconds to the next minute."""
    return lambda strategy: (strategy.hit(item, *key, cost=cost), _left(strategy, item, key)[1])


def _login_limits(address: str, email: str) -> list[tuple[RateLimitItem, tuple[str, ...]]]:
    # A digest, because an email may be long, and is nobody's business in Redis.
    digest = hashlib.sha256(normalised(email).encode()).hexdigest()
    return [
        (RateLimitItemPerMinute(FAILED_LOGINS_OF_PAIR), ("login", address, digest)),
        (RateLimitItemPerMinute(FAILED_LOGINS_OF_ADDRESS), ("login", address)),
    ]


def _add_headers(response: Response) -> Response:
    state: tuple[int, int, int] | None = current_g().get("rate_limit")
    if state is not None:
        limit, remaining, reset = state
        # Nobody has set them before, and `headers[name] = …` looks for that: 3 µs each, `add` 1.
        add = response.headers.add
        add("X-RateLimit-Limit", str(limit))
        add("X-RateLimit-Remaining", str(remaining))
        add("X-RateLimit-Reset", str(reset))
        # The pair of the IETF draft "RateLimit header fields for HTTP".
        add("RateLimit-Policy", f'"client";q={limit};w={WINDOW_SECONDS}')
        add("RateLimit", f'"client";r={remaining};t={reset}')
    return response

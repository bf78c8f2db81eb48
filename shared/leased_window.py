"""Counting together in Redis without asking it for each request: a worker leases some of a minute at once.

A question to Redis costs a web worker 100 µs. So whoever asks for one request is given up to a hundredth of
the client's limit beforehand. All that is leased and not used, by all workers on all hosts, is never more
than that hundredth: between 99 % and 100 % of the limit are let in, whoever leased what and died since.
Limits below LEASED_FROM are counted one by one, and let in exactly: so few requests are no burden.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from limits import RateLimitItem
from limits.errors import StorageError
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter
from limits.util import WindowStats

LEASED_FROM = 10_000

# `taken`: let in or leased in this window; `ahead`: the part of it that was leased and not used, as far as
# is known. Returns how many requests the caller may let in, how many are left to others, and milliseconds
# to the end of the window, which begins with its first request.
_TAKE = """
local limit, window, used = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local known = redis.call('HMGET', KEYS[1], 'taken', 'ahead')
local taken, ahead = tonumber(known[1] or 0), math.max(0, tonumber(known[2] or 0) - used)
local left = limit - taken
if left <= 0 then
    return {0, 0, redis.call('PTTL', KEYS[1])}
end
local lease = 0
if limit >= tonumber(ARGV[4]) then
    lease = math.max(0, math.min(1000, math.floor(left / 100), math.floor((limit / 100 - ahead) / 2)))
end
redis.call('HSET', KEYS[1], 'taken', taken + 1 + lease, 'ahead', ahead + lease)
if taken == 0 then
    redis.call('PEXPIRE', KEYS[1], window)
end
return {1 + lease, left - 1 - lease, redis.call('PTTL', KEYS[1])}
"""


@dataclass(slots=True)
class _Lease:
    """What this process may still let in until `ends`, on the clock `elapsed`: one element of `free` each,
    because taking one out needs no lock. `given` is how many it was given and has not reported as used."""

    free: deque[None]
    left_to_others: int
    ends: float
    given: int


class LeasedWindow(FixedWindowRateLimiter):
    """limits' fixed window over `storage`, for requests of cost 1. `elapsed` counts seconds from anywhere."""

    def __init__(self, storage: RedisStorage, elapsed: Callable[[], float] = time.monotonic) -> None:
        super().__init__(storage)
        self._storage = storage
        self._elapsed = elapsed
        self._take = storage.storage.register_script(_TAKE)
        self._leases: dict[tuple[object, ...], _Lease] = {}
        self._lock = threading.Lock()
        self._look_through_at = elapsed()

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Whether one more request may be let in, which then is counted. Raises StorageError."""
        key, asked = (item.amount, *identifiers), self._elapsed()
        lease = self._leases.get(key)
        if lease is not None and asked < lease.ends:
            try:
                lease.free.pop()
            except IndexError:
                pass
            else:
                return True
        used = self._used_since_reported(lease, asked)
        try:
            granted, left_to_others, milliseconds = self._take(
                keys=[self._storage.prefixed_key(f"leased/{item.key_for(*identifiers)}")],
                args=[item.amount, item.get_expiry() * 1000, used, LEASED_FROM],
            )
        except self._storage.base_exceptions as error:
            raise StorageError(error) from error
        more = max(granted - 1, 0)
        # Counted from before the question, so that no lease outlives its window.
        ends = asked + milliseconds / 1000
        with self._lock:
            self._forget_the_ended(asked)
            known = self._leases.get(key)
            if known is not None and known.ends > ends - item.get_expiry() / 2:
                # Another lease of the same window, in which others may have asked meanwhile.
                known.free.extend([None] * more)
                known.given += more
                known.left_to_others = min(left_to_others, known.left_to_others)
            else:
                self._leases[key] = _Lease(deque([None] * more), left_to_others, ends, more)
        return bool(granted)

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """When the window ends (seconds of the epoch) and how many requests are left, as last heard."""
        lease = self._leases.get((item.amount, *identifiers))
        if lease is None:
            return WindowStats(time.time() + item.get_expiry(), item.amount)
        return WindowStats(time.time() + lease.ends - self._elapsed(), len(lease.free) + lease.left_to_others)

    def _used_since_reported(self, lease: _Lease | None, now: float) -> int:
        if lease is None or now >= lease.ends:
            return 0
        with self._lock:
            left = len(lease.free)
            used, lease.given = lease.given - left, left
        return used

    def _forget_the_ended(self, now: float) -> None:
        if now >= self._look_through_at:
            self._look_through_at = now + 60
            self._leases = {key: lease for key, lease in self._leases.items() if lease.ends > now}

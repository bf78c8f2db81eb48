"""Counting together in Redis without asking it for each request: a worker leases some of a minute at once.

A question to Redis costs a web worker 100 µs. So whoever asks for one request is given up to a hundredth of
the client's limit beforehand. All that is leased and not used, by all workers on all hosts, is never more
than that hundredth: between 99 % and 100 % of the limit are let in, whoever leased what and died since. Small
limits, and the last hundred requests of any, are counted one by one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from limits import RateLimitItem
from limits.errors import StorageError
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter
from limits.util import WindowStats

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
local lease = math.min(10000, math.floor(left / 100), math.floor((limit / 100 - ahead) / 2))
lease = math.max(0, lease)
redis.call('HSET', KEYS[1], 'taken', taken + 1 + lease, 'ahead', ahead + lease)
if taken == 0 then
    redis.call('PEXPIRE', KEYS[1], window)
end
return {1 + lease, left - 1 - lease, redis.call('PTTL', KEYS[1])}
"""


@dataclass(slots=True)
class _Lease:
    """What this process may still let in until `ends`, on the clock `elapsed`; `used` is not reported yet."""

    left: int
    left_to_others: int
    ends: float
    used: int = 0


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
        key, used = (item.amount, *identifiers), 0
        asked = self._elapsed()
        with self._lock:
            lease = self._leases.get(key)
            if lease is not None and asked < lease.ends:
                if lease.left:
                    lease.left -= 1
                    lease.used += 1
                    return True
                used, lease.used = lease.used, 0
        try:
            granted, left_to_others, milliseconds = self._take(
                keys=[self._storage.prefixed_key(f"leased/{item.key_for(*identifiers)}")],
                args=[item.amount, item.get_expiry() * 1000, used],
            )
        except self._storage.base_exceptions as error:
            raise StorageError(error) from error
        # Counted from before the question, so that no lease outlives its window.
        lease = _Lease(max(granted - 1, 0), left_to_others, ends=asked + milliseconds / 1000)
        with self._lock:
            self._forget_the_ended(asked)
            known = self._leases.get(key)
            if known is not None and known.ends > lease.ends - item.get_expiry() / 2:
                # Somebody else has asked meanwhile, in the same window: both leases hold.
                lease.left += known.left
                lease.left_to_others = min(left_to_others, known.left_to_others)
                lease.used = known.used
            self._leases[key] = lease
        return bool(granted)

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """When the window ends (seconds of the epoch) and how many requests are left, as last heard."""
        lease = self._leases.get((item.amount, *identifiers))
        if lease is None:
            return WindowStats(time.time() + item.get_expiry(), item.amount)
        return WindowStats(time.time() + lease.ends - self._elapsed(), lease.left + lease.left_to_others)

    def _forget_the_ended(self, now: float) -> None:
        if now >= self._look_through_at:
            self._look_through_at = now + 60
            self._leases = {key: lease for key, lease in self._leases.items() if lease.ends > now}

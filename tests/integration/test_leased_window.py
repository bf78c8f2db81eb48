"""Leases of requests: workers that count together in Redis, and do not ask it for each request."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import redis
from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import RedisStorage

from shared.leased_window import LeasedWindow
from tests.fakes import FakeElapsed
from tests.proxy import Proxy
from tests.services import own_redis

REDIS_PORT = 6379
CLIENT = ("ingest", "user:1")
MANY = 20_000


@pytest.fixture
def redis_url() -> Iterator[str]:
    with own_redis() as url:
        yield url


@pytest.fixture
def new_worker(redis_url: str) -> Callable[..., LeasedWindow]:
    return lambda elapsed=None: LeasedWindow(RedisStorage(redis_url), elapsed or FakeElapsed())


def let_in(worker: LeasedWindow, limit: int) -> bool:
    return worker.hit(RateLimitItemPerMinute(limit), *CLIENT)


def let_in_until_refused(worker: LeasedWindow, limit: int) -> int:
    admitted = 0
    while let_in(worker, limit):
        admitted += 1
    return admitted


def left(worker: LeasedWindow, limit: int) -> int:
    return worker.get_window_stats(RateLimitItemPerMinute(limit), *CLIENT).remaining


def end_the_minute(redis_url: str, elapsed: FakeElapsed) -> None:
    elapsed.pass_by(60)
    with closing(redis.Redis.from_url(redis_url)) as client:
        client.delete(*client.scan_iter("*leased*"))


@pytest.mark.parametrize("limit", [1, 2, 99, 100, 101, 1000, MANY])
def test_one_worker_lets_in_exactly_the_limit(new_worker: Callable[..., LeasedWindow], limit: int) -> None:
    worker = new_worker()
    for number in range(limit):
        assert let_in(worker, limit)
        assert left(worker, limit) == limit - number - 1
    assert not let_in(worker, limit)
    assert left(worker, limit) == 0


@pytest.mark.parametrize("limit", [7, 100, 1000, MANY])
def test_workers_let_in_no_more_than_the_limit_and_hardly_less(
    new_worker: Callable[..., LeasedWindow], limit: int
) -> None:
    workers = [new_worker() for _ in range(6)]
    chance = random.Random(limit)
    admitted = 0
    for _ in range(limit // 2):
        admitted += let_in(chance.choice(workers), limit)
    # All but one worker fall silent, whatever they have leased, and then come back one by one.
    admitted += let_in_until_refused(workers[0], limit)
    assert admitted >= 0.99 * limit
    admitted += sum(let_in_until_refused(worker, limit) for worker in workers)
    assert admitted <= limit


def test_workers_let_in_exactly_a_limit_that_is_not_leased(new_worker: Callable[..., LeasedWindow]) -> None:
    one, other = new_worker(), new_worker()
    admitted = sum(let_in(worker, 1000) for _ in range(300) for worker in (one, other))
    assert admitted + let_in_until_refused(one, 1000) == 1000
    assert not let_in(other, 1000)


def test_what_is_leased_is_let_in_without_asking_redis(redis_url: str) -> None:
    with Proxy(redis_url, REDIS_PORT) as way:
        worker = LeasedWindow(RedisStorage(way.instead_of(redis_url), wrap_exceptions=True))
        assert let_in(worker, MANY)
        way.cut()
        assert all(let_in(worker, MANY) for _ in range(MANY // 300))
        with pytest.raises(StorageError):
            let_in_until_refused(worker, MANY)


def test_what_was_leased_for_a_minute_is_not_let_in_after_it(
    new_worker: Callable[..., LeasedWindow], redis_url: str
) -> None:
    elapsed = FakeElapsed()
    one, other = new_worker(elapsed), new_worker(elapsed)
    assert let_in(one, MANY)
    assert left(one, MANY) == MANY - 1
    end_the_minute(redis_url, elapsed)
    assert let_in_until_refused(other, MANY) == MANY
    assert not let_in(one, MANY)


def test_what_a_worker_has_used_it_may_lease_again_in_the_next_minute(
    new_worker: Callable[..., LeasedWindow], redis_url: str
) -> None:
    elapsed = FakeElapsed()
    worker = new_worker(elapsed)
    for _ in range(2):
        assert let_in_until_refused(worker, MANY) == MANY
        end_the_minute(redis_url, elapsed)


def test_clients_and_limits_do_not_share_leases(new_worker: Callable[..., LeasedWindow]) -> None:
    worker = new_worker()
    assert worker.hit(RateLimitItemPerMinute(1), "ingest", "user:1")
    assert worker.hit(RateLimitItemPerMinute(1), "ingest", "user:2")
    assert worker.hit(RateLimitItemPerMinute(2), "ingest", "user:1")
    assert not worker.hit(RateLimitItemPerMinute(1), "ingest", "user:1")


def test_a_redis_that_is_not_there_is_an_error_of_the_storage() -> None:
    worker = LeasedWindow(RedisStorage("redis://127.0.0.1:1/0"))  # nothing listens on port 1
    with pytest.raises(StorageError):
        let_in(worker, 5)

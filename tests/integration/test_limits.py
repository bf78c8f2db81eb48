"""Several workers share one rate limit through Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine

from ingest_service import create_app
from shared.identity import Identity
from shared.keys import KeyRing
from shared.running import start, stop
from shared.settings import Settings
from tests.factories import lead_body, make_api_key, make_user
from tests.fakes import FakeProducer
from tests.proxy import Proxy
from tests.services import own_redis

LIMIT = 60


@pytest.fixture
def redis_url() -> Iterator[str]:
    """An empty database of Redis."""
    with own_redis() as url:
        yield url


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    """The way of the apps to Redis."""
    with Proxy(redis_url, 6379) as proxy:
        yield proxy


@pytest.fixture
def apps(
    sqlite_engine: Engine, keys: KeyRing, tmp_path: Path, redis_url: str, proxy: Proxy
) -> Iterator[list[Flask]]:
    """The ingest service twice, as two workers have it."""
    settings = Settings(data_dir=tmp_path, redis_url=proxy.instead_of(redis_url), rate_limit_per_minute=LIMIT)
    apps = [
        create_app(settings, producer=FakeProducer(), identity=Identity(sqlite_engine), keys=keys)
        for _ in range(2)
    ]
    for app in apps:
        start(app)
    yield apps
    for app in apps:
        stop(app)


@pytest.fixture
def api_key(sqlite_engine: Engine) -> str:
    """What a partner signs in with."""
    return make_api_key(sqlite_engine, make_user(sqlite_engine))


def post(app: Flask, api_key: str) -> int:
    answer = app.test_client().post("/api/leads", json=lead_body(), headers={"X-AUTH-Token": api_key})
    assert int(answer.headers["X-RateLimit-Limit"]) == LIMIT
    return answer.status_code


def test_two_workers_together_admit_the_limit_and_not_one_more(apps: list[Flask], api_key: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(lambda number: post(apps[number % 2], api_key), range(2 * LIMIT)))

    assert answers == {201: LIMIT, 429: LIMIT}


def test_each_partner_has_a_limit_of_its_own(apps: list[Flask], api_key: str, sqlite_engine: Engine) -> None:
    other_key = make_api_key(sqlite_engine, make_user(sqlite_engine, "other@example.com"))
    first = [post(apps[number % 2], api_key) for number in range(LIMIT + 1)]

    assert first[-1] == 429
    assert post(apps[0], other_key) == 201


def test_what_is_left_is_the_same_on_both_workers(apps: list[Flask], api_key: str) -> None:
    left = []
    for number in range(6):
        answer = (
            apps[number % 2]
            .test_client()
            .post("/api/leads", json=lead_body(), headers={"X-AUTH-Token": api_key})
        )
        left.append(int(answer.headers["X-RateLimit-Remaining"]))

    assert left == [LIMIT - 1, LIMIT - 2, LIMIT - 3, LIMIT - 4, LIMIT - 5, LIMIT - 6]


@pytest.mark.parametrize("outage", ["cut", "stall"])
def test_without_redis_limits_go_on_in_each_worker(
    apps: list[Flask], api_key: str, proxy: Proxy, outage: str
) -> None:
    assert post(apps[0], api_key) == 201
    getattr(proxy, outage)()

    answers = [post(apps[0], api_key) for _ in range(LIMIT + 1)]
    proxy.restore()

    assert answers == [201] * LIMIT + [429]

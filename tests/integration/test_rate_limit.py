"""How often a client may call (contract, section 4): one bucket for each client on each service."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import pytest
import redis
from flask import Flask
from sqlalchemy import Engine

from shared.keys import KeyRing
from tests.integration.calling import (
    SERVICES,
    USERS,
    Answer,
    Caller,
    Person,
    add_admin,
    add_partner,
    log_in,
    new_app,
)
from tests.proxy import Proxy
from tests.services import own_redis
from tests.waiting import wait_until

LIMIT = 5
MANY = 300
REDIS_PORT = 6379
NAMES = [
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "RateLimit-Policy",
    "RateLimit",
]


@pytest.fixture(params=SERVICES)
def app(request: pytest.FixtureRequest, sqlite_engine: Engine, keys: KeyRing) -> Flask:
    """Each service, with a small limit."""
    return new_app(request.param, sqlite_engine, keys, rate_limit_per_minute=LIMIT, trusted_proxies=1)


@pytest.fixture
def partner(sqlite_engine: Engine) -> Person:
    return add_partner(sqlite_engine)


@pytest.fixture
def redis_url() -> Iterator[str]:
    with own_redis() as url:
        yield url


def remaining(answer: Answer) -> int:
    return int(answer.headers["X-RateLimit-Remaining"])


def use_up(caller: Caller) -> None:
    while caller.knock().status_code != 429:
        pass


# --- what a client is told ----------------------------------------------------------------------------


def test_both_families_of_headers_count_down(app: Flask, partner: Person) -> None:
    for left in range(LIMIT - 1, -1, -1):
        headers = partner.calls(app).knock().headers
        assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == (str(LIMIT), str(left))
        reset = int(headers["X-RateLimit-Reset"])
        assert 1 <= reset <= 60
        assert headers["RateLimit-Policy"] == f'"client";q={LIMIT};w=60'
        assert headers["RateLimit"] == f'"client";r={left};t={reset}'


def test_over_the_limit_is_429_with_the_seconds_to_wait(app: Flask, partner: Person) -> None:
    use_up(partner.calls(app))
    answer = partner.calls(app).knock()
    assert answer.status_code == 429
    seconds = int(answer.headers["Retry-After"])
    assert 1 <= seconds <= 60
    body = {"status": "error", "code": 429, "message": "Rate limit exceeded", "retry_after": seconds}
    assert answer.json == body
    assert remaining(answer) == 0
    assert all(answer.headers[name] for name in NAMES)


def test_on_the_first_seeds_routes_429_is_the_same(sqlite_engine: Engine, keys: KeyRing) -> None:
    app = new_app("admin", sqlite_engine, keys, rate_limit_per_minute=1)
    admin = add_admin(sqlite_engine).calls(app)
    assert admin.get(USERS).status_code == 200
    answer = admin.get(USERS)
    assert set(answer.json) == {"status", "code", "message", "retry_after"}
    assert (answer.json["status"], answer.json["message"]) == ("error", "Rate limit exceeded")


def test_as_a_problem_429_says_when_to_come_again_too(app: Flask, partner: Person) -> None:
    use_up(partner.calls(app))
    answer = partner.calls(app).get("/api/leads", headers={"Accept": "application/problem+json"})
    if answer.status_code == 405:  # ingest only takes leads
        answer = partner.calls(app).post("/api/leads", {}, headers={"Accept": "application/problem+json"})
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.json["status"], answer.json["title"]) == (429, "Too Many Requests")
    assert answer.json["retry_after"] == int(answer.headers["Retry-After"])


def test_refused_answers_are_counted_and_say_so(app: Flask, partner: Person) -> None:
    denied = partner.calls(app).knock()
    assert remaining(denied) == LIMIT - 1
    unknown = Caller(app).knock()
    assert unknown.status_code == 401
    assert remaining(unknown) == LIMIT - 1


@pytest.mark.parametrize("path", ["/livez", "/.well-known/jwks.json", "/nothing"])
def test_what_is_not_limited_says_nothing_of_limits(app: Flask, path: str) -> None:
    anyone = Caller(app)
    for _ in range(LIMIT + 1):
        answer = anyone.get(path)
        assert answer.status_code != 429
        assert not set(NAMES) & set(answer.headers.keys())


# --- who shares a bucket ------------------------------------------------------------------------------


def test_key_and_token_of_a_user_share_a_bucket(app: Flask, partner: Person) -> None:
    by_key, by_token = partner.calls(app), partner.calls_with_token(app)
    assert [remaining(caller.knock()) for caller in (by_key, by_token, by_key)] == [4, 3, 2]


def test_a_user_has_one_bucket_wherever_the_requests_come_from(app: Flask, partner: Person) -> None:
    for number in range(LIMIT):
        partner.calls(app).get("/api/leads", headers={"X-Forwarded-For": f"192.0.2.{number}"})
        partner.calls(app).post("/api/leads", {}, headers={"X-Forwarded-For": f"192.0.2.{number}"})
    assert partner.calls(app).knock().status_code == 429


def test_users_at_one_address_have_a_bucket_each(app: Flask, sqlite_engine: Engine, partner: Person) -> None:
    use_up(partner.calls(app))
    assert remaining(add_partner(sqlite_engine, "other@example.com").calls(app).knock()) == LIMIT - 1


def test_each_service_has_a_bucket_of_its_own(
    sqlite_engine: Engine, keys: KeyRing, partner: Person, redis_url: str
) -> None:
    ingest, admin = (
        new_app(service, sqlite_engine, keys, rate_limit_per_minute=LIMIT, redis_url=redis_url)
        for service in SERVICES
    )
    use_up(partner.calls(ingest))
    assert remaining(partner.calls(admin).knock()) == LIMIT - 1


def test_unknown_callers_are_counted_by_address(app: Flask, partner: Person) -> None:
    def unknown(address: str, headers: dict[str, str]) -> int:
        return Caller(app, headers | {"X-Forwarded-For": address}).knock().status_code

    bad = [{}, {"X-AUTH-Token": "x"}, {"Authorization": "Bearer x"}, {"X-AUTH-Token": "y"}, {}]
    assert [unknown("192.0.2.1", headers) for headers in bad] == [401, 401, 403, 401, 401]
    assert unknown("192.0.2.1", {}) == 429
    assert unknown("192.0.2.2", {}) == 401
    here = Caller(app, {"X-Forwarded-For": "192.0.2.1", "X-AUTH-Token": partner.api_key})
    assert here.is_let_in()


def test_logins_are_counted_by_address(app: Flask, partner: Person) -> None:
    answers = [log_in(app, partner.email) for _ in range(LIMIT + 1)]
    assert [answer.status_code for answer in answers] == [200] * LIMIT + [429]
    assert [remaining(answer) for answer in answers] == [4, 3, 2, 1, 0, 0]
    assert partner.calls(app).is_let_in()


def test_a_request_that_will_not_do_counts_too(app: Flask, partner: Person) -> None:
    caller = partner.calls(app)
    caller.ask("POST", "/api/leads", b"{")
    caller.get("/api/leads?limit=0")
    assert remaining(caller.knock()) == LIMIT - 2


# --- many at once, and Redis --------------------------------------------------------------------------


def at_once(knock: list[Callable[[], Answer]], threads: int = 8) -> Counter[int]:
    """How these calls were answered, made by so many threads that begin together."""
    together = threading.Barrier(threads)

    def some(number: int) -> list[int]:
        together.wait(30)
        return [call().status_code for call in knock[number::threads]]

    with ThreadPoolExecutor(threads) as pool:
        return Counter(code for codes in pool.map(some, range(threads)) for code in codes)


def test_two_instances_never_admit_more_than_the_limit_and_not_much_less(
    sqlite_engine: Engine, keys: KeyRing, partner: Person, redis_url: str
) -> None:
    apps = [
        new_app("ingest", sqlite_engine, keys, rate_limit_per_minute=MANY, redis_url=redis_url)
        for _ in range(2)
    ]
    callers = [partner.calls(apps[0]), partner.calls_with_token(apps[1])]
    answers = at_once([partial(callers[number % 2].post, "/api/leads", {}) for number in range(2 * MANY)])
    assert 0.99 * MANY <= answers[400] <= MANY
    assert answers[400] + answers[429] == 2 * MANY


def test_instances_without_redis_count_for_themselves(
    sqlite_engine: Engine, keys: KeyRing, partner: Person
) -> None:
    one, other = (new_app("ingest", sqlite_engine, keys, rate_limit_per_minute=LIMIT) for _ in range(2))
    use_up(partner.calls(one))
    assert remaining(partner.calls(other).knock()) == LIMIT - 1


@pytest.fixture
def way(redis_url: str) -> Iterator[Proxy]:
    """The only way to Redis for the service under test."""
    with Proxy(redis_url, REDIS_PORT) as proxy:
        yield proxy


@pytest.fixture
def shared_app(sqlite_engine: Engine, keys: KeyRing, redis_url: str, way: Proxy) -> Flask:
    """The ingest service, counting in Redis by that way."""
    url = way.instead_of(redis_url)
    return new_app("ingest", sqlite_engine, keys, rate_limit_per_minute=LIMIT, redis_url=url)


def test_when_redis_goes_away_nothing_fails_and_limits_go_on(
    shared_app: Flask, partner: Person, way: Proxy
) -> None:
    caller = partner.calls(shared_app)
    assert [caller.knock().status_code for _ in range(2)] == [400] * 2
    way.cut()
    answers = [caller.knock() for _ in range(LIMIT + 2)]
    assert [answer.status_code for answer in answers] == [400] * LIMIT + [429] * 2
    assert [remaining(answer) for answer in answers] == [4, 3, 2, 1, 0, 0, 0]


def test_when_redis_says_nothing_nothing_fails_and_limits_go_on(
    shared_app: Flask, partner: Person, way: Proxy
) -> None:
    caller = partner.calls(shared_app)
    assert caller.knock().status_code == 400
    way.stall()
    try:
        answers = [caller.knock().status_code for _ in range(LIMIT + 1)]
    finally:
        way.restore()
    assert answers == [400] * LIMIT + [429]


def test_without_redis_from_the_start_nothing_fails(shared_app: Flask, partner: Person, way: Proxy) -> None:
    way.cut()
    answers = [partner.calls(shared_app).knock().status_code for _ in range(LIMIT + 1)]
    assert answers == [400] * LIMIT + [429]
    assert log_in(shared_app, partner.email).status_code == 200


def test_once_redis_is_back_it_counts_again(
    shared_app: Flask, partner: Person, way: Proxy, redis_url: str
) -> None:
    caller = partner.calls(shared_app)
    way.cut()
    assert caller.is_let_in()
    way.restore()
    with closing(redis.Redis.from_url(redis_url)) as client:
        before = set(client.scan_iter())
        wait_until(lambda: caller.knock() and set(client.scan_iter()) > before, "Redis counts again", 10)

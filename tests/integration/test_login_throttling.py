"""Guessing passwords is slowed down for who guesses, and for nobody else (contract, section 3)."""

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
from shared.offload import run_here
from shared.passwords import Passwords
from tests.factories import PASSWORD, make_user
from tests.integration.calling import (
    SERVICES,
    Answer,
    add_admin,
    created,
    log_in,
    new_app,
)
from tests.proxy import Proxy
from tests.services import own_redis

PAIR, ADDRESS = 10, 100  # failures in a minute
WRONG = "not this one"
HERE, THERE = "192.0.2.1", "192.0.2.2"
PARTNER, OTHER, NOBODY = "partner@example.com", "other@example.com", "nobody@example.com"
REDIS_PORT = 6379


class CountingPasswords(Passwords):
    """Compares instead of hashing, and counts how often each service was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.tries = 0
        self._counting = threading.Lock()

    def matches(self, stored: str | None, password: str) -> bool:
        with self._counting:
            self.tries += 1
        return stored is not None and password == PASSWORD


@pytest.fixture
def passwords(sqlite_engine: Engine) -> CountingPasswords:
    for email in (PARTNER, OTHER):
        make_user(sqlite_engine, email)
    return CountingPasswords()


@pytest.fixture(params=SERVICES)
def app(
    request: pytest.FixtureRequest, sqlite_engine: Engine, keys: KeyRing, passwords: CountingPasswords
) -> Flask:
    """Each service, behind one proxy."""
    return new_app(request.param, sqlite_engine, keys, passwords=passwords, trusted_proxies=1)


def from_address(address: str) -> dict[str, str]:
    """The headers that the proxy adds to a request from there."""
    return {"X-Forwarded-For": address}


def tried(app: Flask, email: str, password: str, times: int, address: str = HERE) -> list[int]:
    """How so many logins were answered."""
    answers = [log_in(app, email, password, headers=from_address(address)) for _ in range(times)]
    return [answer.status_code for answer in answers]


def at_once(logins: list[Callable[[], Answer]]) -> Counter[int]:
    """How logins were answered that all began at the same time."""
    together = threading.Barrier(len(logins))

    def log_in_together(login: Callable[[], Answer]) -> int:
        together.wait(30)
        return login().status_code

    with ThreadPoolExecutor(len(logins)) as threads:
        return Counter(threads.map(log_in_together, logins))


@pytest.mark.parametrize("email", [PARTNER, NOBODY])
def test_ten_failures_for_an_email_from_an_address_are_the_last(app: Flask, email: str) -> None:
    assert tried(app, email, WRONG, PAIR + 2) == [401] * PAIR + [429] * 2


def test_then_the_right_password_is_refused_too(app: Flask) -> None:
    tried(app, PARTNER, WRONG, PAIR)
    assert tried(app, PARTNER, PASSWORD, 1) == [429]


def test_who_is_refused_is_told_when_to_come_again(app: Flask) -> None:
    tried(app, PARTNER, WRONG, PAIR)
    answer = log_in(app, PARTNER, WRONG, headers=from_address(HERE))
    seconds = int(answer.headers["Retry-After"])
    assert 1 <= seconds <= 60
    body = {"status": "error", "code": 429, "message": "Rate limit exceeded", "retry_after": seconds}
    assert answer.json == body


def test_another_email_from_there_is_not_refused(app: Flask) -> None:
    tried(app, PARTNER, WRONG, PAIR + 5)
    assert tried(app, OTHER, PASSWORD, 1) == [200]


def test_nobody_is_locked_out_from_elsewhere(app: Flask) -> None:
    tried(app, PARTNER, WRONG, PAIR + 5, address=THERE)
    assert tried(app, PARTNER, PASSWORD, 1, address=HERE) == [200]


def test_an_email_is_the_same_however_it_is_written(app: Flask) -> None:
    spellings = ["partner@example.com", "PARTNER@Example.com", "ｐａｒｔｎｅｒ@example.com"]
    answers = [tried(app, spellings[number % 3], WRONG, 1)[0] for number in range(PAIR + 3)]
    assert answers == [401] * PAIR + [429] * 3


def test_a_hundred_failures_from_an_address_are_the_last(app: Flask, passwords: CountingPasswords) -> None:
    for number in range(ADDRESS // PAIR):
        assert tried(app, f"{number}@example.com", WRONG, PAIR) == [401] * PAIR
    assert tried(app, PARTNER, PASSWORD, 1) == [429]
    assert tried(app, PARTNER, PASSWORD, 1, address=THERE) == [200]
    assert passwords.tries == ADDRESS + 1


def test_who_is_refused_for_one_email_does_not_use_up_the_address(app: Flask) -> None:
    tried(app, PARTNER, WRONG, ADDRESS + PAIR)
    assert tried(app, OTHER, PASSWORD, 1) == [200]


def test_a_success_does_not_count(app: Flask) -> None:
    assert tried(app, PARTNER, PASSWORD, 3 * PAIR) == [200] * 3 * PAIR
    assert tried(app, PARTNER, WRONG, PAIR - 1) == [401] * (PAIR - 1)
    assert tried(app, PARTNER, PASSWORD, 2 * PAIR) == [200] * 2 * PAIR
    assert tried(app, PARTNER, WRONG, 2) == [401, 429]


def test_a_success_does_not_make_up_for_failures(app: Flask) -> None:
    answers = [tried(app, PARTNER, password, 1)[0] for _ in range(PAIR) for password in (PASSWORD, WRONG)]
    assert answers == [200, 401] * PAIR
    assert tried(app, PARTNER, PASSWORD, 1) == [429]


def test_a_login_that_is_none_is_no_failure(app: Flask) -> None:
    for _ in range(2 * PAIR):
        assert log_in(app, PARTNER, "x" * 1025, headers=from_address(HERE)).status_code == 400
    assert tried(app, PARTNER, PASSWORD, 1) == [200]


def test_many_at_once_get_no_more_than_ten_tries(app: Flask, passwords: CountingPasswords) -> None:
    answers = at_once([lambda: log_in(app, PARTNER, WRONG)] * 40)
    assert answers == {401: PAIR, 429: 30}
    assert passwords.tries == PAIR


def test_many_right_logins_at_once_are_all_let_in(app: Flask) -> None:
    assert at_once([lambda: log_in(app, PARTNER, PASSWORD)] * 40) == {200: 40}


def test_what_a_client_says_of_its_address_is_not_believed_without_a_proxy(
    sqlite_engine: Engine, keys: KeyRing, passwords: CountingPasswords
) -> None:
    app = new_app("ingest", sqlite_engine, keys, passwords=passwords)
    answers = [tried(app, PARTNER, WRONG, 1, address=f"192.0.2.{n}")[0] for n in range(PAIR + 1)]
    assert answers == [401] * PAIR + [429]
    assert log_in(app, PARTNER, PASSWORD, address=THERE).status_code == 200


def test_only_what_the_proxy_says_of_an_address_is_believed(app: Flask) -> None:
    answers = [tried(app, PARTNER, WRONG, 1, address=f"203.0.113.{n}, {HERE}")[0] for n in range(PAIR + 1)]
    assert answers == [401] * PAIR + [429]


def test_a_known_and_an_unknown_email_cost_one_argon2_each(sqlite_engine: Engine, keys: KeyRing) -> None:
    runs = []

    def counted(work, *args, **kwargs):  # type: ignore[no-untyped-def]
        runs.append(work)
        return run_here(work, *args, **kwargs)

    app = new_app("ingest", sqlite_engine, keys, passwords=Passwords(counted))
    make_user(sqlite_engine, PARTNER)
    admin = add_admin(sqlite_engine).calls(new_app("admin", sqlite_engine, keys))
    created(admin, email="no.password@example.com")
    log_in(app, NOBODY, WRONG)  # the first one ever may cost more
    costs = {}
    for email, password in (
        (PARTNER, WRONG),
        (PARTNER, PASSWORD),
        (NOBODY, WRONG),
        ("no.password@example.com", WRONG),
    ):
        runs.clear()
        log_in(app, email, password)
        costs[email, password] = len(runs)
    assert set(costs.values()) == {1}, costs


# --- shared by way of Redis ---------------------------------------------------------------------------


@pytest.fixture
def redis_url() -> Iterator[str]:
    with own_redis() as url:
        yield url


@pytest.fixture
def both(sqlite_engine: Engine, keys: KeyRing, passwords: CountingPasswords, redis_url: str) -> list[Flask]:
    """Both services, which count in Redis."""
    return [
        new_app(service, sqlite_engine, keys, passwords=passwords, redis_url=redis_url, trusted_proxies=1)
        for service in SERVICES
    ]


def test_failures_count_together_on_all_instances(both: list[Flask]) -> None:
    one, other = both
    assert tried(one, PARTNER, WRONG, PAIR // 2) == [401] * (PAIR // 2)
    assert tried(other, PARTNER, WRONG, PAIR) == [401] * (PAIR // 2) + [429] * (PAIR // 2)
    assert tried(one, PARTNER, PASSWORD, 1) == [429]
    assert tried(one, OTHER, PASSWORD, 1) == [200]


def test_many_at_once_on_all_instances_get_no_more_than_ten_tries(
    both: list[Flask], passwords: CountingPasswords
) -> None:
    answers = at_once([partial(log_in, app, PARTNER, WRONG) for app in both * 20])
    assert answers == {401: PAIR, 429: 30}
    assert passwords.tries == PAIR


def test_emails_are_not_kept_in_redis(both: list[Flask], redis_url: str) -> None:
    tried(both[0], PARTNER, WRONG, 2)
    with closing(redis.Redis.from_url(redis_url)) as client:
        names = list(client.scan_iter())
    assert len(names) >= 2
    assert not any(b"example" in name for name in names)


def test_without_redis_guessing_is_slowed_down_in_process(
    sqlite_engine: Engine, keys: KeyRing, passwords: CountingPasswords, redis_url: str
) -> None:
    with Proxy(redis_url, REDIS_PORT) as way:
        app = new_app("ingest", sqlite_engine, keys, passwords=passwords, redis_url=way.instead_of(redis_url))
        assert tried(app, PARTNER, WRONG, 3) == [401] * 3
        way.cut()
        assert tried(app, PARTNER, WRONG, PAIR + 2) == [401] * PAIR + [429] * 2
        assert tried(app, OTHER, PASSWORD, 1) == [200]

"""A read ends in time: with an answer, or with 503."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import OperationalError

from shared import database
from shared import reading as limits
from shared.database import open_database
from shared.database_errors import is_out_of_time
from shared.keys import KeyRing
from shared.models import leads
from shared.reading import reading
from tests.factories import make_lead
from tests.integration.calling import USERS, Answer, Caller, add_admin, is_error, new_app
from tests.integration.lists import store
from tests.proxy import Proxy

MYSQL_PORT = 3306
GONE = "The database cannot be reached now; try again"


def test_a_statement_that_takes_too_long_is_stopped(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READ_SECONDS", 0.2)
    store(engine, *(make_lead() for _ in range(60)))
    tables = ", ".join(f"leads AS t{number}" for number in range(6))
    all_sixes = text(f"SELECT count(*) FROM {tables} WHERE t0.email <> t1.phone OR t2.email <> t3.phone")
    began = time.monotonic()

    with reading(engine).connect() as connection:
        with pytest.raises(OperationalError) as stopped:
            connection.execute(all_sixes)
        assert is_out_of_time(stopped.value)

    assert time.monotonic() - began < 10
    with engine.connect() as connection:  # the limit has not stayed with the connection
        assert connection.scalar(select(func.count()).select_from(leads)) == 60


def test_reads_see_the_tables_as_they_were_at_one_moment(engine: Engine) -> None:
    count = select(func.count()).select_from(leads)
    with reading(engine).connect() as connection:
        assert connection.scalar(count) == 0
        store(engine, make_lead())
        assert connection.scalar(count) == 0
    with reading(engine).connect() as connection:
        assert connection.scalar(count) == 1


@pytest.mark.parametrize("engine", ["mariadb", "mysql"], indirect=True)
def test_a_connection_that_has_gone_while_nobody_used_it_is_not_used(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "SILENT_SECONDS", 0.0)
    number = select(func.connection_id())
    with engine.connect() as another:
        with engine.connect() as one:
            gone = one.scalar(number)
        another.execute(text(f"KILL {gone}"))

    for _ in range(2):
        with engine.connect() as connection:
            assert connection.scalar(number) != gone


@pytest.fixture
def way(mariadb_url: str) -> Iterator[Proxy]:
    """The only way to the database for the service under test."""
    with Proxy(mariadb_url, MYSQL_PORT) as proxy:
        yield proxy


@pytest.fixture
def far_app(way: Proxy, mariadb_engine: Engine, mariadb_url: str, keys: KeyRing) -> Iterator[Flask]:
    """An admin service that reaches the database by that way, and is not patient."""
    engine = open_database(way.instead_of(mariadb_url), patience=2)
    yield new_app("admin", engine, keys)
    engine.dispose()


@pytest.fixture
def admin(mariadb_engine: Engine, far_app: Flask) -> Caller:
    """An admin whom the service knows already."""
    caller = add_admin(mariadb_engine).calls(far_app)
    assert caller.get("/api/leads").status_code == 200
    return caller


def asked_for_everything(admin: Caller) -> list[Answer]:
    lead = "/api/leads/01a1fc6d-3478-7762-981d-793090695ac9"
    return [
        admin.get("/api/leads"),
        admin.get(lead),
        admin.get(f"{lead}?wait=0.2"),
        admin.get(f"{USERS}?limit=5"),
        admin.post(USERS, {"email": "new@example.com"}),
    ]


def test_while_the_database_is_gone_every_route_says_so(way: Proxy, admin: Caller) -> None:
    way.cut()
    began = time.monotonic()

    for answer in asked_for_everything(admin):
        assert (answer.status_code, answer.json["message"]) == (503, GONE)
        assert int(answer.headers["Retry-After"]) > 0

    assert time.monotonic() - began < 10
    way.restore()
    assert [answer.status_code for answer in asked_for_everything(admin)] == [200, 404, 404, 200, 201]


def test_a_database_that_says_nothing_is_not_waited_for_long(way: Proxy, admin: Caller) -> None:
    way.stall()
    began = time.monotonic()

    assert is_error(admin.get("/api/leads"), 503, GONE)

    assert time.monotonic() - began < 10
    way.restore()


def test_a_list_that_takes_too_long_is_given_up(
    mariadb_engine: Engine, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "READ_SECONDS", 0.2)
    with mariadb_engine.connect() as another:
        another.execute(text("LOCK TABLES leads WRITE, lead_counts WRITE"))
        answer = admin.get("/api/leads")
        another.execute(text("UNLOCK TABLES"))

    assert is_error(answer, 503, "This takes too long to look up; ask for less, or try again")
    assert int(answer.headers["Retry-After"]) > 0
    assert admin.get("/api/leads").status_code == 200

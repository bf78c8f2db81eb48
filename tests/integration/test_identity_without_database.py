"""While the database is unreachable the last known state holds (contract, section 3)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import Engine

from shared.database import open_database
from shared.keys import KeyRing
from tests.factories import lead_body
from tests.integration.calling import (
    SERVICES,
    USERS,
    Caller,
    Person,
    add_admin,
    is_error,
    log_in,
    new_app,
    running,
)
from tests.proxy import Proxy
from tests.waiting import wait_until

MYSQL_PORT = 3306
HELD_UP_SECONDS = 15.0  # a read of the database gives up after twice that
UNKNOWN_NOW = "Users cannot be checked now; try again"


pytestmark = pytest.mark.parametrize("engine", ["mariadb"], indirect=True)


@pytest.fixture
def way(mariadb_url: str) -> Iterator[Proxy]:
    """The only way to the database for the service under test."""
    with Proxy(mariadb_url, MYSQL_PORT) as proxy:
        yield proxy


@pytest.fixture
def far_engine(way: Proxy, mariadb_url: str) -> Iterator[Engine]:
    """The database, by that way."""
    engine = open_database(way.instead_of(mariadb_url))
    yield engine
    engine.dispose()


@pytest.fixture
def ingest(far_engine: Engine, keys: KeyRing, partner: Person) -> Iterator[Flask]:
    """The ingest service, started while the database was there."""
    with running(new_app("ingest", far_engine, keys)) as app:
        yield app


def post(caller: Caller) -> int:
    """How a lead of the caller is answered."""
    return caller.post("/api/leads", lead_body()).status_code


def test_known_partners_go_on_posting_with_token_and_key(way: Proxy, ingest: Flask, partner: Person) -> None:
    callers = [partner.calls(ingest), partner.calls_with_token(ingest)]
    way.cut()
    for _ in range(3):
        assert [post(caller) for caller in callers] == [201, 201]


def test_partners_who_never_called_before_are_known_too(way: Proxy, ingest: Flask, partner: Person) -> None:
    way.cut()
    assert post(partner.calls(ingest)) == 201


def test_known_partners_can_even_log_in(way: Proxy, ingest: Flask, partner: Person) -> None:
    way.cut()
    assert post(partner.calls_with_token(ingest)) == 201
    assert is_error(log_in(ingest, partner.email, "not this one"), 401, "Invalid credentials.")


def test_who_is_not_known_is_not_let_in(way: Proxy, ingest: Flask, partner: Person) -> None:
    way.cut()
    answer = Caller(ingest, {"X-AUTH-Token": "nobody's"}).post("/api/leads", lead_body())
    assert is_error(answer, 401, "Invalid API key")


def test_what_was_changed_meanwhile_is_in_force_once_the_database_is_back(
    engine: Engine, keys: KeyRing, way: Proxy, ingest: Flask, partner: Person
) -> None:
    way.cut()
    admin = add_admin(engine).calls(new_app("admin", engine, keys))
    admin.patch(f"{USERS}{partner.id}", {"isActive": False})
    assert post(partner.calls(ingest)) == 201
    way.restore()
    wait_until(lambda: post(partner.calls(ingest)) == 401, "it is refused", seconds=10)


def test_a_database_that_does_not_answer_holds_up_nobody_for_long(
    way: Proxy, ingest: Flask, partner: Person
) -> None:
    known = [partner.calls(ingest), partner.calls_with_token(ingest)]
    way.stall()
    began = time.monotonic()
    assert [post(caller) for caller in known] == [201, 201]
    assert log_in(ingest, partner.email).status_code == 200
    assert Caller(ingest, {"X-AUTH-Token": "nobody's"}).knock().status_code == 401
    assert time.monotonic() - began < HELD_UP_SECONDS
    way.restore()


@pytest.mark.parametrize("service", SERVICES)
def test_while_the_users_were_never_read_nobody_is_refused_as_unknown(
    way: Proxy, far_engine: Engine, keys: KeyRing, partner: Person, service: str
) -> None:
    way.cut()
    with running(new_app(service, far_engine, keys)) as app:
        token = {"Authorization": "Bearer nonsense"}
        for caller in (partner.calls(app), Caller(app, token)):
            answer = caller.post("/api/leads", {}) if service == "ingest" else caller.get("/api/leads")
            assert is_error(answer, 503, UNKNOWN_NOW)
            assert int(answer.headers["Retry-After"]) > 0
        assert is_error(log_in(app, partner.email), 503, UNKNOWN_NOW)
        assert Caller(app).get("/readyz").status_code == 503
        assert Caller(app).get("/livez").status_code == 200
        way.restore()
        wait_until(lambda: log_in(app, partner.email).status_code == 200, "the users were read", seconds=10)

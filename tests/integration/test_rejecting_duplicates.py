"""With DUPLICATE_POLICY=reject a duplicate of a stored lead is not even accepted (contract, section 4)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, event

from ingest_service.idempotency import hash_of_key
from shared.keys import KeyRing
from shared.times import utc_now
from tests.factories import EMAIL_HASH_KEY, lead_body, make_batch, make_lead, make_writer, tracking_body
from tests.integration.calling import (
    Answer,
    Caller,
    Person,
    add_partner,
    is_error,
    is_seed_error,
    new_app,
    running,
)
from tests.proxy import Proxy
from tests.waiting import wait_until

EMAIL = "ada@example.com"
MYSQL_PORT = 3306
HELD_UP_SECONDS = 10.0


def rejecting(engine: Engine, keys: KeyRing, **settings: Any) -> Flask:
    """The ingest service on that database."""
    url = engine.url.render_as_string(hide_password=False)
    rules = {"duplicate_policy": "reject", "email_hash_key": EMAIL_HASH_KEY, "database_url": url}
    return new_app("ingest", engine, keys, **rules | settings)


@pytest.fixture
def ingest(engine: Engine, keys: KeyRing) -> Iterator[Flask]:
    with running(rejecting(engine, keys)) as app:
        yield app


@pytest.fixture
def caller(ingest: Flask, partner: Person) -> Caller:
    return partner.calls(ingest)


def store(engine: Engine, partner: Person, days_ago: float = 0, **changes: Any) -> None:
    """A lead of that partner and EMAIL, stored as it was received."""
    received_at = utc_now() - timedelta(days=days_ago)
    lead = make_lead(client_id=partner.id, received_at=received_at, **{"email": EMAIL} | changes)
    make_writer(engine).write([(make_batch([lead]), 0)])


def post(caller: Caller, query: str = "", **changes: Any) -> Answer:
    return caller.post(f"/api/leads{query}", lead_body(**{"email": EMAIL} | changes))


def is_duplicate(answer: Answer) -> bool:
    return is_error(answer, 409, "Duplicate lead detected") and "errors" not in answer.json


def test_a_duplicate_of_a_stored_lead_is_refused(engine: Engine, partner: Person, caller: Caller) -> None:
    assert post(caller).status_code == 201
    store(engine, partner)
    assert is_duplicate(post(caller))
    assert is_duplicate(post(caller, email="ＡDA@Example.com"))
    assert post(caller, email="other@example.com").status_code == 201


def test_it_is_refused_in_the_words_of_the_seed_on_its_route(
    engine: Engine, partner: Person, caller: Caller
) -> None:
    store(engine, partner)
    answer = caller.post("/api/tracking/", tracking_body(email=EMAIL))
    assert is_seed_error(answer, 409, "Unprocessable", "Duplicate lead detected")


def test_a_dry_run_says_so_too(engine: Engine, partner: Person, caller: Caller) -> None:
    assert post(caller, "?dryRun=true").status_code == 200
    store(engine, partner)
    assert is_duplicate(post(caller, "?dryRun=true"))
    assert caller.post("/api/tracking/?dryRun=true", tracking_body(email=EMAIL)).status_code == 409


def test_of_a_batch_the_duplicates_alone_are_refused(
    engine: Engine, partner: Person, ingest: Flask, caller: Caller
) -> None:
    store(engine, partner)
    leads = [lead_body(), lead_body(email=EMAIL, clientReference="mine", utm="x"), lead_body()]
    with reads_of(ingest) as reads:
        answer = caller.post("/api/leads/batch", {"leads": leads})
    assert answer.status_code == 207
    assert (answer.json["data"]["accepted"], answer.json["data"]["rejected"]) == (2, 1)
    assert answer.json["data"]["results"][1] == {
        "index": 1,
        "errors": {"email": ["Duplicate lead detected"]},
        "clientReference": "mine",
    }
    assert len(reads) == 1
    again = caller.post("/api/leads/batch", {"leads": leads[1:2]})
    assert (again.status_code, again.json["message"]) == (400, "No lead is valid")


def test_a_lead_that_is_sent_again_under_its_key_is_accepted_again(
    engine: Engine, partner: Person, caller: Caller
) -> None:
    store(engine, partner)
    came_meanwhile = make_lead(client_id=partner.id, received_at=utc_now(), email=EMAIL)
    under_key = replace(came_meanwhile, key_hash=hash_of_key("mine"))
    make_writer(engine).write([(make_batch([under_key]), 0)])
    assert post(caller, idempotencyKey="mine").status_code == 201
    assert is_duplicate(post(caller, idempotencyKey="another"))


def test_a_lead_that_is_not_valid_is_told_so_first(engine: Engine, partner: Person, caller: Caller) -> None:
    store(engine, partner)
    assert is_error(post(caller, phone="x"), 400, "Validation failed")


def test_nobody_learns_of_another_partners_leads(engine: Engine, partner: Person, ingest: Flask) -> None:
    store(engine, partner)
    assert post(add_partner(engine, "other@example.com").calls(ingest)).status_code == 201


def test_test_leads_neither_make_nor_are_duplicates(engine: Engine, partner: Person, caller: Caller) -> None:
    store(engine, partner, test=True)
    assert post(caller).status_code == 201
    store(engine, partner)
    assert post(caller, test=True).status_code == 201
    assert post(caller, test=False).status_code == 409


def test_after_the_window_a_lead_is_accepted(engine: Engine, partner: Person, caller: Caller) -> None:
    store(engine, partner, days_ago=30.01)
    assert post(caller).status_code == 201
    store(engine, partner, days_ago=29.99, email="later@example.com")
    assert post(caller, email="later@example.com").status_code == 409


@pytest.mark.parametrize("settings", [{"duplicate_policy": "mark"}, {"duplicate_window_days": 0}])
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_nothing_is_refused_where_it_is_not_asked_for(
    engine: Engine, keys: KeyRing, partner: Person, settings: dict[str, Any]
) -> None:
    store(engine, partner)
    with running(rejecting(engine, keys, **settings)) as app:
        assert post(partner.calls(app)).status_code == 201


def test_it_costs_one_read_a_lead(ingest: Flask, caller: Caller) -> None:
    with reads_of(ingest) as reads:
        assert post(caller).status_code == 201
    assert len(reads) == 1


@contextmanager
def reads_of(ingest: Flask) -> Iterator[list[str]]:
    """The statements with which the service has looked for duplicates meanwhile."""
    reads: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            reads.append(statement)

    engine = ingest.extensions["leadgate.stored_duplicates"]._engine
    event.listen(engine, "before_cursor_execute", note)
    yield reads
    event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("outage", ["cut", "stall"])
@pytest.mark.parametrize("engine", ["mariadb"], indirect=True)
def test_without_the_database_leads_are_accepted_and_soon(
    engine: Engine, keys: KeyRing, partner: Person, outage: str
) -> None:
    url = engine.url.render_as_string(hide_password=False)
    store(engine, partner)
    with (
        Proxy(url, MYSQL_PORT) as way,
        running(rejecting(engine, keys, database_url=way.instead_of(url))) as app,
    ):
        caller = partner.calls(app)
        assert post(caller).status_code == 409
        getattr(way, outage)()
        began = time.monotonic()
        assert [post(caller).status_code for _ in range(20)] == [201] * 20
        assert time.monotonic() - began < HELD_UP_SECONDS


@pytest.mark.parametrize("engine", ["mariadb"], indirect=True)
def test_once_the_database_is_back_duplicates_are_refused_again(
    engine: Engine, keys: KeyRing, partner: Person
) -> None:
    url = engine.url.render_as_string(hide_password=False)
    store(engine, partner)
    with (
        Proxy(url, MYSQL_PORT) as way,
        running(rejecting(engine, keys, database_url=way.instead_of(url))) as app,
    ):
        caller = partner.calls(app)
        way.cut()
        assert post(caller).status_code == 201
        way.restore()
        wait_until(lambda: post(caller).status_code == 409, "it is refused", seconds=10)

"""The timeline of one lead, from its request to where it is now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine

from consumer.log_writer import LogWriter
from shared.exchanges import Exchange
from shared.keys import KeyRing
from shared.messages import Lead
from shared.times import format_time
from tests.factories import NOON, make_batch, make_exchange, make_keyed_lead, make_lead, make_writer
from tests.fakes import FakeProducer, FakeQueue
from tests.integration.calling import Caller, Person, is_error, new_app, running

STORED_AT = NOON + timedelta(minutes=2)


@pytest.fixture
def producer() -> FakeProducer:
    return FakeProducer()


@pytest.fixture
def app(engine: Engine, keys: KeyRing, producer: FakeProducer) -> Flask:
    return new_app("admin", engine, keys, producer=producer)


def log_exchange(engine: Engine, lead: Lead, seconds_before: float = 0.001, **changes: Any) -> Exchange:
    """The exchange that the lead came with, or another one."""
    exchange = make_exchange(
        request_id=lead.request_id,
        received_at=lead.received_at - timedelta(seconds=seconds_before),
        duration_us=5000,
        **{"status": 201, "client_id": lead.client_id} | changes,
    )
    LogWriter(FakeQueue, engine).write([exchange])
    return exchange


def trace(admin: Caller, id: UUID) -> dict[str, Any]:
    answer = admin.get(f"/admin/api/leads/{id}/trace")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json["data"]
    return data


def names(data: dict[str, Any]) -> list[str]:
    return [event["event"] for event in data["events"]]


def test_a_stored_lead_from_request_to_table(engine: Engine, admin: Caller, partner: Person) -> None:
    lead = make_lead(client_id=partner.id)
    batch = make_batch([lead], sequence=7)
    make_writer(engine, lambda: STORED_AT).write([(batch, 0)])
    exchange = log_exchange(engine, lead)

    data = trace(admin, lead.id)

    assert (data["leadId"], data["clientId"], data["status"]) == (str(lead.id), partner.id, "stored")
    assert data["requestId"] == lead.request_id
    assert data["events"] == [
        {
            "at": format_time(exchange.received_at),
            "event": "request",
            "details": {
                "id": str(exchange.id),
                "method": "POST",
                "endpoint": "/api/leads",
                "address": "192.0.2.1",
                "userAgent": "curl/8",
            },
        },
        {
            "at": format_time(lead.received_at),
            "event": "queued",
            "details": {"producerId": str(batch.header.producer_id), "sequence": 7},
        },
        {
            "at": format_time(exchange.received_at + timedelta(milliseconds=5)),
            "event": "response",
            "details": {"id": str(exchange.id), "status": 201, "durationMs": 5.0},
        },
        {"at": format_time(STORED_AT), "event": "stored", "details": {}},
    ]


def test_without_logs_the_rest_is_there(engine: Engine, admin: Caller, partner: Person) -> None:
    lead = make_lead(client_id=partner.id)
    make_writer(engine, lambda: STORED_AT).write([(make_batch([lead]), 0)])

    assert names(trace(admin, lead.id)) == ["queued", "stored"]


def test_an_exchange_with_the_same_request_id_is_not_taken_for_its_own(
    engine: Engine, admin: Caller, partner: Person
) -> None:
    lead = make_lead(client_id=partner.id)
    make_writer(engine, lambda: STORED_AT).write([(make_batch([lead]), 0)])
    log_exchange(engine, lead, 60, status=400)
    log_exchange(engine, lead, -60, status=401)
    log_exchange(engine, lead, 0.0005, client_id=partner.id + 1, status=403)
    own = log_exchange(engine, lead)

    events = trace(admin, lead.id)["events"]
    assert [event["details"]["id"] for event in events if event["event"] == "response"] == [str(own.id)]


def test_a_lead_that_went_through_quarantine(
    engine: Engine, admin: Caller, partner: Person, app: Flask, producer: FakeProducer
) -> None:
    lead = make_lead(client_id=partner.id, dateOfBirth="never")
    make_writer(engine, lambda: STORED_AT).write([(make_batch([lead]), 0)])
    log_exchange(engine, lead)
    parked = trace(admin, lead.id)
    assert parked["status"] == "quarantined"
    assert names(parked) == ["request", "queued", "response", "quarantined"]
    assert parked["events"][-1]["details"]["reason"] == "refused_by_database"
    id = parked["events"][-1]["details"]["id"]

    with running(app):
        corrected = lead.content | {"dateOfBirth": "1990-02-28"}
        assert admin.post(f"/admin/api/quarantine/{id}/replay", corrected).status_code == 202
    make_writer(engine).write([(batch, 0) for batch in producer.batches() if batch.leads])

    data = trace(admin, lead.id)
    assert data["status"] == "stored"
    assert names(data) == ["request", "queued", "response", "quarantined", "replayed", "stored"]


def test_what_waits_under_the_same_key_is_no_part_of_it(
    engine: Engine, admin: Caller, partner: Person
) -> None:
    first = make_keyed_lead("k", client_id=partner.id)
    make_writer(engine).write([(make_batch([first, make_keyed_lead("k", client_id=partner.id)]), 0)])

    assert names(trace(admin, first.id)) == ["queued", "stored"]


@pytest.mark.parametrize("id", ["00000000-0000-4000-8000-000000000000", "7"])
def test_what_is_not_there_is_not_found(admin: Caller, id: str) -> None:
    assert is_error(admin.get(f"/admin/api/leads/{id}/trace"), 404, "Lead not found")


def test_it_is_for_admins(engine: Engine, app: Flask, partner: Person) -> None:
    lead = make_lead(client_id=partner.id)
    make_writer(engine).write([(make_batch([lead]), 0)])

    assert is_error(partner.calls(app).get(f"/admin/api/leads/{lead.id}/trace"), 403, "Access denied")

"""One lead by its id: stored or quarantined, in full or only if it has changed."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine, update

from shared.database import writing
from shared.keys import KeyRing
from shared.messages import Lead
from shared.models import app_users, leads, quarantined_leads
from shared.times import format_time
from tests.factories import NOON, make_batch, make_lead, make_writer
from tests.integration.calling import Caller, Person, add_partner, is_error, new_app


@pytest.fixture
def app(engine: Engine, keys: KeyRing) -> Flask:
    return new_app("admin", engine, keys)


def store(engine: Engine, *sent: Lead) -> None:
    make_writer(engine, lambda: NOON + timedelta(hours=1)).write([(make_batch(list(sent)), 0)])


def test_a_lead_is_sent_again_only_when_it_has_changed(engine: Engine, app: Flask, partner: Person) -> None:
    lead = make_lead(client_id=partner.id)
    store(engine, lead)
    caller, path = partner.calls(app), f"/api/leads/{lead.id}"
    first = caller.get(path)
    known = {"If-None-Match": first.headers["ETag"]}

    same = caller.get(path, headers=known)
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert same.headers["Cache-Control"] == first.headers["Cache-Control"] == "private, no-cache"
    assert caller.get(path, headers={"If-None-Match": '"other"'}).status_code == 200

    with writing(engine).begin() as connection:
        connection.execute(update(leads).values(city="Berlin"))
    changed = caller.get(path, headers=known)
    assert (changed.status_code, changed.json["data"]["city"]) == (200, "Berlin")
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_who_sent_a_lead_is_part_of_what_an_admin_knows_of_it(
    engine: Engine, app: Flask, partner: Person, admin: Caller
) -> None:
    lead = make_lead(client_id=partner.id)
    store(engine, lead)
    known = {"If-None-Match": admin.get(f"/api/leads/{lead.id}").headers["ETag"]}
    assert partner.calls(app).get(f"/api/leads/{lead.id}", headers=known).status_code == 200

    with writing(engine).begin() as connection:
        connection.execute(
            update(app_users).where(app_users.c.id == partner.id).values(email="new@example.com")
        )

    assert admin.get(f"/api/leads/{lead.id}", headers=known).json["data"]["clientEmail"] == "new@example.com"


def test_a_quarantined_lead_is_shown_with_the_reason(
    engine: Engine, app: Flask, partner: Person, admin: Caller
) -> None:
    lead = make_lead(client_id=partner.id, dateOfBirth="never", city="Zürich 😀", test=True)
    store(engine, lead)
    path = f"/api/leads/{lead.id}"

    own = partner.calls(app).get(path).json["data"]
    all_of_it = admin.get(path).json["data"]

    fields = ("zipCode", "provinceCode", "countryCode", "verticals", "clientReference")
    assert own == dict.fromkeys(fields) | lead.content | {
        "id": str(lead.id),
        "status": "quarantined",
        "reason": "refused_by_database",
        "duplicateOf": None,
        "clientId": partner.id,
        "requestId": lead.request_id,
        "createdAt": format_time(lead.received_at),
        "storedAt": None,
    }
    assert all_of_it.pop("clientEmail") == partner.email
    assert "never" in all_of_it.pop("detail")
    assert all_of_it == own


def test_a_quarantined_lead_of_another_partner_is_not_there(
    engine: Engine, app: Flask, partner: Person
) -> None:
    lead = make_lead(client_id=partner.id, dateOfBirth="never")
    store(engine, lead)
    other = add_partner(engine, "other@example.com").calls(app)

    assert is_error(other.get(f"/api/leads/{lead.id}"), 404, "Lead not found")


def test_a_quarantined_lead_that_was_discarded_is_shown_still(
    engine: Engine, app: Flask, partner: Person
) -> None:
    lead = make_lead(client_id=partner.id, dateOfBirth="never")
    store(engine, lead)
    with writing(engine).begin() as connection:
        connection.execute(update(quarantined_leads).values(resolution="discarded", resolved_at=NOON))

    found = partner.calls(app).get(f"/api/leads/{lead.id}").json["data"]

    assert (found["id"], found["status"]) == (str(lead.id), "quarantined")


def test_a_quarantined_lead_that_is_no_text_is_shown_as_far_as_it_goes(
    engine: Engine, app: Flask, partner: Person
) -> None:
    lead = make_lead(client_id=partner.id, city="\ud800")
    store(engine, lead)

    found = partner.calls(app).get(f"/api/leads/{lead.id}").json["data"]

    assert (found["id"], found["status"], found["email"]) == (str(lead.id), "quarantined", None)


def test_a_lead_that_is_waited_for_may_end_in_quarantine(engine: Engine, app: Flask, partner: Person) -> None:
    lead = make_lead(client_id=partner.id, dateOfBirth="never")
    storing = threading.Timer(0.2, store, args=[engine, lead])
    storing.start()
    try:
        found = partner.calls(app).get(f"/api/leads/{lead.id}?wait=10").json["data"]
    finally:
        storing.join()

    assert found["status"] == "quarantined"


def test_of_a_stored_and_a_quarantined_lead_with_one_id_the_stored_one_is_shown(
    engine: Engine, app: Flask, partner: Person
) -> None:
    id = uuid4()
    for born in ("never", "1990-02-28"):
        lead = make_lead(client_id=partner.id, dateOfBirth=born)
        store(engine, Lead(id, lead.client_id, lead.received_at, lead.request_id, lead.content))

    assert partner.calls(app).get(f"/api/leads/{id}").json["data"]["status"] == "stored"

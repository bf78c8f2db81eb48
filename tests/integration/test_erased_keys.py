"""An idempotency key is remembered as long as its lead: once that is erased, the key is as good as new."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from shared.messages import Lead
from shared.models import duplicate_keys, idempotency_keys, lead_batches, leads, quarantined_leads
from shared.times import utc_now
from tests.factories import make_batch, make_keyed_lead, make_lead, make_writer, sent_again
from tests.fakes import FakeProducer
from tests.integration.calling import Caller, Person, is_error
from tests.integration.stored import counted, number_of, rows, stored_ids

ADA, GRACE = "ada@example.com", "grace@example.com"


@pytest.fixture
def lead(partner: Person) -> Lead:
    """Ada's, under a key."""
    return make_keyed_lead("k", client_id=partner.id, email=ADA)


def write(engine: Engine, *sent: Lead) -> None:
    make_writer(engine).write([(make_batch(list(sent)), 0)])


def now(lead: Lead, **changes: Any) -> Lead:
    """The same, or something else, posted under the same key now."""
    return replace(sent_again(lead, **changes), received_at=utc_now())


def erase_person(admin: Caller, email: str = ADA) -> int:
    answer = admin.post("/admin/api/erasures", {"email": email})
    assert answer.status_code == 200, answer.text
    return int(answer.json["data"]["erased"])


def erase(admin: Caller, lead: Lead, by: str) -> None:
    """The person whose lead that is, or the lead."""
    if by == "email":
        assert erase_person(admin, lead.content["email"]) == 1
    else:
        assert admin.delete(f"/admin/api/leads/{lead.id}").status_code == 204


by_either = pytest.mark.parametrize("by", ["email", "id"])


@by_either
def test_what_is_posted_anew_under_the_key_is_stored_under_the_same_id(
    engine: Engine, admin: Caller, lead: Lead, by: str
) -> None:
    write(engine, lead)
    erase(admin, lead, by)
    assert number_of(engine, idempotency_keys) == number_of(engine, duplicate_keys) == 0
    anew = now(lead)
    write(engine, anew)
    write(engine, now(lead))

    assert [(row.id, row.received_at, row.status) for row in rows(engine, leads)] == [
        (lead.id, anew.received_at, "stored")
    ]
    assert sum(row.repeated for row in rows(engine, lead_batches)) == 1


@by_either
def test_something_else_may_be_posted_under_the_key_then(
    engine: Engine, admin: Caller, lead: Lead, by: str
) -> None:
    write(engine, lead)
    erase(admin, lead, by)
    write(engine, now(lead, email=GRACE))

    assert [(row.id, row.email) for row in rows(engine, leads)] == [(lead.id, GRACE)]
    assert number_of(engine, quarantined_leads) == 0


@by_either
def test_what_was_sent_before_neither_comes_back_nor_takes_the_key(
    engine: Engine, admin: Caller, lead: Lead, by: str
) -> None:
    batch = make_batch([lead])
    make_writer(engine).write([(batch, 0)])
    retries = [sent_again(lead) for _ in range(3)]
    erase(admin, lead, by)

    write(engine, retries[0])
    assert stored_ids(engine) == []
    write(engine, retries[1], now(lead))
    assert stored_ids(engine) == [lead.id]
    write(engine, retries[2])
    make_writer(engine).write([(batch, 1)])

    assert stored_ids(engine) == [lead.id]
    receipts = rows(engine, lead_batches)
    assert sum(row.erased for row in receipts) == 3
    assert sum(row.stored for row in receipts) == 2
    assert counted(engine) == 1


@by_either
def test_a_key_whose_lead_was_in_quarantine_is_forgotten_too(
    engine: Engine, admin: Caller, lead: Lead, by: str
) -> None:
    write(engine, sent_again(lead, dateOfBirth="never"))
    assert number_of(engine, quarantined_leads) == 1
    erase(admin, lead, by)
    write(engine, now(lead))

    assert stored_ids(engine) == [lead.id]
    assert (counted(engine), counted(engine, "quarantined")) == (1, 0)


def test_a_conflict_that_is_erased_leaves_the_key_to_the_first(
    engine: Engine, admin: Caller, lead: Lead
) -> None:
    write(engine, lead)
    write(engine, sent_again(lead, email=GRACE))
    assert erase_person(admin, GRACE) == 1
    write(engine, now(lead))
    write(engine, now(lead, city="Rom"))

    (stored,) = rows(engine, leads)
    assert (stored.id, stored.received_at) == (lead.id, lead.received_at)
    assert [row.lead_id for row in rows(engine, quarantined_leads)] == [lead.id]


def test_somebody_elses_lead_that_is_on_its_way_under_the_key_is_not_lost(
    engine: Engine, admin: Caller, lead: Lead
) -> None:
    write(engine, lead)
    other = sent_again(lead, email=GRACE)
    assert erase_person(admin) == 1
    write(engine, other)

    assert [(row.id, row.email) for row in rows(engine, leads)] == [(lead.id, GRACE)]


def test_erased_by_its_id_all_that_was_sent_before_under_the_key_is_gone(
    engine: Engine, admin: Caller, lead: Lead
) -> None:
    write(engine, lead)
    other = sent_again(lead, email=GRACE)
    erase(admin, lead, "id")
    write(engine, other)

    assert number_of(engine, leads) == number_of(engine, quarantined_leads) == 0


def test_a_conflict_that_was_replayed_is_no_lead_of_that_id_any_more(
    engine: Engine, admin: Caller, app: Flask, partner: Person, lead: Lead, producer: FakeProducer
) -> None:
    write(engine, lead)
    write(engine, sent_again(lead, email=GRACE))
    erase(admin, lead, "email")
    path = f"/api/leads/{lead.id}"
    assert partner.calls(app).get(path).json["data"]["status"] == "quarantined"

    (parked,) = rows(engine, quarantined_leads)
    replayed = admin.post(f"/admin/api/quarantine/{parked.id}/replay").json["data"]["leadId"]
    make_writer(engine).write([(batch, 0) for batch in producer.batches()])

    assert is_error(partner.calls(app).get(path), 404, "Lead not found")
    assert is_error(admin.get(f"/admin{path}/trace"), 404, "Lead not found")
    assert is_error(admin.delete(f"/admin{path}"), 404, "Lead not found")
    assert admin.get(f"/api/leads/{replayed}").json["data"]["replayOf"] == str(parked.id)
    assert admin.get(f"/admin/api/leads/{replayed}/trace").status_code == 200
    assert erase_person(admin, GRACE) == 1
    assert number_of(engine, leads) == number_of(engine, quarantined_leads) == 0


def test_a_replay_of_an_erased_row_does_not_come_even_if_it_says_something_else(
    engine: Engine, admin: Caller, lead: Lead, producer: FakeProducer
) -> None:
    write(engine, lead)
    write(engine, sent_again(lead, email=GRACE))
    (parked,) = rows(engine, quarantined_leads)
    corrected = lead.content | {"email": "grace.hopper@example.com"}
    assert admin.post(f"/admin/api/quarantine/{parked.id}/replay", corrected).status_code == 202
    assert erase_person(admin, GRACE) == 1
    make_writer(engine).write([(batch, 0) for batch in producer.batches()])

    assert stored_ids(engine) == [lead.id]
    assert counted(engine, "quarantined") == 0


def test_a_duplicate_of_an_erased_lead_goes_on_naming_it(
    engine: Engine, admin: Caller, partner: Person, lead: Lead
) -> None:
    later = make_lead(client_id=partner.id, email=ADA)
    write(engine, lead, later)
    erase(admin, lead, "id")

    assert admin.get(f"/api/leads/{later.id}").json["data"]["duplicateOf"] == str(lead.id)
    assert is_error(admin.get(f"/api/leads/{lead.id}"), 404, "Lead not found")

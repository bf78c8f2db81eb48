"""Quarantine: what could not be stored is looked at, corrected, sent again once, or discarded."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import Engine

from shared.messages import Lead
from shared.models import audit_log, lead_batches, leads, quarantined_leads
from shared.queues import Delivery
from tests.factories import NOON, lead_body, make_batch, make_lead, make_writer
from tests.fakes import FakeProducer
from tests.integration.calling import (
    Answer,
    Caller,
    Person,
    add_partner,
    is_error,
)
from tests.integration.stored import counted, number_of, rows, stored_ids

QUARANTINE = "/admin/api/quarantine"
SENTENCE = "Quarantined lead not found"
NOBODY = "00000000-0000-4000-8000-000000000000"


def park(engine: Engine, *parked: Lead) -> list[str]:
    """The leads come and are quarantined: the ids of that."""
    before = {row.id for row in rows(engine, quarantined_leads)}
    make_writer(engine).write([(make_batch(list(parked)), 0)])
    new = [row for row in rows(engine, quarantined_leads) if row.id not in before]
    ids = {row.lead_id: str(row.id) for row in new}
    return [ids[lead.id] for lead in parked]


def drain(engine: Engine, producer: FakeProducer) -> None:
    """The consumer writes what was published."""
    batches, producer.bodies = producer.batches(), []
    make_writer(engine).write([(batch, 0) for batch in batches])


def listed(admin: Caller, **query: Any) -> list[dict[str, Any]]:
    answer = admin.get(f"{QUARANTINE}?{urlencode(query)}")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json["data"]["items"]
    return items


def one(admin: Caller, id: str) -> dict[str, Any]:
    item: dict[str, Any] = admin.get(f"{QUARANTINE}/{id}").json["data"]
    return item


def replay(admin: Caller, id: str, corrected: object = None) -> Answer:
    return admin.post(f"{QUARANTINE}/{id}/replay", corrected)


def bad_lead(partner: Person, **content: Any) -> Lead:
    """One that the consumer cannot store."""
    return make_lead(client_id=partner.id, **{"dateOfBirth": "never"} | content)


def corrected(lead: Lead) -> dict[str, Any]:
    return lead.content | {"dateOfBirth": "1990-02-28"}


def test_a_lead_that_could_not_be_stored_is_looked_at(engine: Engine, admin: Caller, partner: Person) -> None:
    lead = bad_lead(partner)
    (id,) = park(engine, lead)

    item = one(admin, id)
    assert listed(admin) == [item]
    created_at = item.pop("createdAt")
    assert created_at.endswith("Z")
    assert item == {
        "id": id,
        "leadId": str(lead.id),
        "clientId": partner.id,
        "reason": "refused_by_database",
        "detail": "ValueError: Invalid isoformat string: 'never'",
        "payload": lead.content,
        "attempts": 1,
        "receivedAt": f"{lead.received_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "resolution": None,
        "resolvedAt": None,
        "replayedAs": None,
    }


def test_a_message_that_is_no_lead_is_shown_as_text_and_cannot_be_sent_again(
    engine: Engine, admin: Caller, producer: FakeProducer
) -> None:
    make_writer(engine).write([], [(Delivery(b'{"email":"\xff', 0, 1), "not JSON")])

    (item,) = listed(admin)
    assert (item["leadId"], item["clientId"], item["payload"]) == (None, None, '{"email":"\\xff')
    answer = replay(admin, item["id"])
    assert is_error(answer, 409, "This is no lead that could be sent again as it is")
    assert producer.bodies == []


def test_half_a_character_is_shown_as_text_and_can_be_corrected(
    engine: Engine, admin: Caller, partner: Person, producer: FakeProducer
) -> None:
    lead = make_lead(client_id=partner.id, firstName="\ud800")
    (id,) = park(engine, lead)

    assert "\\ud800" in one(admin, id)["payload"]
    assert replay(admin, id).status_code == 409
    assert replay(admin, id, lead_body(email="ada@example.com")).status_code == 202
    drain(engine, producer)
    assert stored_ids(engine) == [lead.id]


def test_long_payloads_are_left_out_of_the_list(engine: Engine, admin: Caller, partner: Person) -> None:
    (id,) = park(engine, bad_lead(partner, verticals=["x" * 70_000]))

    assert listed(admin)[0]["payload"] is None
    assert one(admin, id)["payload"]["verticals"] == ["x" * 70_000]


def test_filters_and_pages(engine: Engine, admin: Caller, partner: Person) -> None:
    other = add_partner(engine, "other@example.com")
    first, second = bad_lead(partner), bad_lead(other)
    make_writer(engine, lambda: NOON).write([(make_batch([first]), 0)])
    later = NOON + timedelta(hours=1)
    make_writer(engine, lambda: later).write(
        [(make_batch([second]), 0)], [(Delivery(b"?", 0, 1), "not JSON")]
    )

    def found(**query: Any) -> set[str | None]:
        return {item["leadId"] for item in listed(admin, **query)}

    assert found(clientId=partner.id) == {str(first.id)}
    assert found(reason="undecodable_message") == {None}
    assert found(to="2026-06-01T12:30:00Z") == {str(first.id)}
    assert found(**{"from": "2026-06-01T12:30:00Z"}) == {str(second.id), None}
    assert found(leadId=second.id) == {str(second.id)}
    assert found(resolved="true") == set()
    pages = [listed(admin, limit=2, page=page) for page in (1, 2)]
    assert [len(page) for page in pages] == [2, 1]
    assert pages[1][0]["leadId"] == str(first.id)
    assert is_error(admin.get(f"{QUARANTINE}?resolved=perhaps"), 400, "Validation failed")


def test_a_replayed_lead_keeps_its_id_and_says_where_it_comes_from(
    engine: Engine, admin: Caller, partner: Person, app: Flask, producer: FakeProducer
) -> None:
    lead = bad_lead(partner)
    (id,) = park(engine, lead)

    answer = replay(admin, id, corrected(lead))
    assert answer.status_code == 202, answer.text
    data = {"id": id, "leadId": str(lead.id), "status": "queued", "durability": "broker"}
    assert answer.json["data"] == data
    waiting = partner.calls(app).get(f"/api/leads/{lead.id}").json["data"]
    assert (waiting["status"], waiting["reason"]) == ("quarantined", "refused_by_database")
    drain(engine, producer)

    stored = partner.calls(app).get(f"/api/leads/{lead.id}").json["data"]
    assert (stored["status"], stored["replayOf"], stored["requestId"]) == ("stored", id, lead.request_id)
    assert stored["createdAt"] == f"{lead.received_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    item = one(admin, id)
    assert (item["resolution"], item["replayedAs"]) == ("replayed", str(lead.id))
    assert (listed(admin), listed(admin, resolved="true")) == ([], [item])


def test_counts_know_a_replayed_lead_as_what_it_became(
    engine: Engine, admin: Caller, partner: Person, producer: FakeProducer
) -> None:
    lead, left = bad_lead(partner), bad_lead(partner)
    id, _ = park(engine, lead, left)
    replay(admin, id, corrected(lead))
    drain(engine, producer)

    for grain in ("all", "day", "hour", "minute"):
        assert counted(engine, "stored", grain) == counted(engine, "quarantined", grain) == 1


def test_a_lead_that_is_quarantined_again_shows_up_again(
    engine: Engine, admin: Caller, partner: Person, producer: FakeProducer
) -> None:
    lead = bad_lead(partner)
    (id,) = park(engine, lead)

    replay(admin, id)
    assert listed(admin) == []
    drain(engine, producer)

    (item,) = listed(admin)
    assert (item["id"], item["attempts"], item["resolution"], item["replayedAs"]) == (id, 2, None, None)
    assert counted(engine, "quarantined") == 1
    assert replay(admin, id, corrected(lead)).status_code == 202
    drain(engine, producer)
    assert stored_ids(engine) == [lead.id]
    assert counted(engine, "quarantined") == 0


@pytest.mark.parametrize("how", ["one", "many"])
def test_a_replay_that_comes_twice_is_stored_once(
    engine: Engine, admin: Caller, partner: Person, producer: FakeProducer, how: str
) -> None:
    lead = bad_lead(partner)
    (id,) = park(engine, lead)
    replay(admin, id, corrected(lead))
    (batch,) = producer.batches()
    again = make_batch(batch.leads, sequence=7)
    if how == "one":
        make_writer(engine).write([(batch, 0), (again, 0)])
    else:
        for each in (batch, again):
            make_writer(engine).write([(each, 0)])

    assert stored_ids(engine) == [lead.id]
    assert (counted(engine), counted(engine, "quarantined")) == (1, 0)
    assert sum(row.stored for row in rows(engine, lead_batches)) == 1
    assert number_of(engine, quarantined_leads) == 1


def test_of_many_who_replay_at_once_one_does(
    engine: Engine, admin: Caller, partner: Person, producer: FakeProducer
) -> None:
    lead = bad_lead(partner)
    (id,) = park(engine, lead)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: replay(admin, id, corrected(lead)), range(4)))

    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
    assert len(producer.bodies) == 1


def test_a_queue_that_takes_nothing_leaves_the_lead_in_quarantine(
    engine: Engine, admin: Caller, partner: Person, producer: FakeProducer
) -> None:
    lead = bad_lead(partner)
    (id,) = park(engine, lead)
    producer.refuse = "the broker is gone"

    answer = replay(admin, id, corrected(lead))
    assert is_error(answer, 503, "The queue takes no leads now; try again")
    assert answer.headers["Retry-After"] == "5"
    assert is_error(admin.post(f"{QUARANTINE}/replay", {}), 503, "The queue takes no leads now; try again")
    assert one(admin, id)["resolution"] is None
    producer.refuse = None
    assert replay(admin, id, corrected(lead)).status_code == 202


def test_what_was_sent_but_not_confirmed_settles_the_lead_when_it_comes(
    engine: Engine, admin: Caller, partner: Person, producer: FakeProducer
) -> None:
    lead = bad_lead(partner)
    (id,) = park(engine, lead)
    replay(admin, id, corrected(lead))
    (batch,) = producer.batches()
    # As it is when the admin service is killed before its commit.
    make_writer(engine).write([(make_batch([bad_again(batch.leads[0])], sequence=1), 0)])
    assert one(admin, id)["resolution"] is None
    make_writer(engine).write([(batch, 0)])

    assert (one(admin, id)["resolution"], one(admin, id)["replayedAs"]) == ("replayed", str(lead.id))


def bad_again(lead: Lead) -> Lead:
    return Lead(lead.id, lead.client_id, lead.received_at, lead.request_id, {}, replay_of=lead.replay_of)


def test_a_corrected_lead_must_be_a_good_one(engine: Engine, admin: Caller, partner: Person) -> None:
    (id,) = park(engine, bad_lead(partner))

    answer = replay(admin, id, lead_body(email="none"))
    assert is_error(answer, 400, "Validation failed")
    assert list(answer.json["errors"]) == ["email"]
    assert one(admin, id)["resolution"] is None


def test_many_are_replayed_by_filter(
    engine: Engine, admin: Caller, partner: Person, producer: FakeProducer
) -> None:
    other = add_partner(engine, "other@example.com")
    # The database would take them now: the consumer that parked them was an old one.
    parked = [make_lead(client_id=partner.id, firstName="\ud800")]
    parked += [bad_lead(partner) for _ in range(120)]
    park(engine, *parked, bad_lead(other))

    answer = admin.post(f"{QUARANTINE}/replay", {"clientId": partner.id, "reason": "refused_by_database"})
    assert answer.status_code == 202, answer.text
    assert answer.json["data"] == {"replayed": 120, "left": 1}
    assert sum(len(batch.leads) for batch in producer.batches()) == 120
    assert len(listed(admin, limit=100)) == 2
    drain(engine, producer)
    pages = [listed(admin, clientId=partner.id, limit=100, page=page) for page in (1, 2)]
    assert Counter(item["attempts"] for page in pages for item in page) == {1: 1, 2: 120}


def test_a_discarded_lead_is_never_sent_again(
    engine: Engine, admin: Caller, partner: Person, app: Flask, producer: FakeProducer
) -> None:
    lead = bad_lead(partner)
    (id,) = park(engine, lead)
    producer.refuse = None
    replay(admin, id)
    (late,) = producer.batches()
    drain(engine, producer)

    assert admin.delete(f"{QUARANTINE}/{id}").status_code == 204
    assert one(admin, id)["resolution"] == "discarded"
    assert is_error(replay(admin, id), 409, "This lead is discarded already")
    assert is_error(admin.delete(f"{QUARANTINE}/{id}"), 409, "This lead is discarded already")
    assert admin.post(f"{QUARANTINE}/replay", {}).json["data"] == {"replayed": 0, "left": 0}
    make_writer(engine).write([(make_batch(late.leads, sequence=9), 0)])
    assert number_of(engine, leads) == 0
    assert one(admin, id)["resolution"] == "discarded"
    assert partner.calls(app).get(f"/api/leads/{lead.id}").json["data"]["status"] == "quarantined"


def test_what_is_not_there_is_not_found(engine: Engine, admin: Caller) -> None:
    assert is_error(admin.get(f"{QUARANTINE}/{NOBODY}"), 404, SENTENCE)
    assert is_error(admin.delete(f"{QUARANTINE}/{NOBODY}"), 404, SENTENCE)
    assert is_error(replay(admin, NOBODY), 404, SENTENCE)


@pytest.mark.parametrize("id", ["7", "%20", NOBODY[:-1]])
def test_what_is_no_id_is_a_missing_route(engine: Engine, admin: Caller, id: str) -> None:
    answers = [admin.get(f"{QUARANTINE}/{id}"), admin.delete(f"{QUARANTINE}/{id}"), replay(admin, id)]
    assert [answer.status_code for answer in answers] == [404, 404, 404]


def test_replaying_many_is_no_lead_that_could_be_looked_at(engine: Engine, admin: Caller) -> None:
    answer = admin.get(f"{QUARANTINE}/replay")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize("name", ["reason", "clientId", "leadId", "from", "to"])
@pytest.mark.parametrize("value", [{}, [], True, None, 1.5])
def test_a_filter_of_another_type_is_named(engine: Engine, admin: Caller, name: str, value: object) -> None:
    answer = admin.post(f"{QUARANTINE}/replay", {name: value})
    assert is_error(answer, 400, "Validation failed")
    assert set(answer.json["errors"]) == {name}


def test_it_is_for_admins(engine: Engine, app: Flask, partner: Person) -> None:
    caller = partner.calls(app)
    for method, path in (
        ("GET", ""),
        ("GET", f"/{NOBODY}"),
        ("POST", "/replay"),
        ("POST", f"/{NOBODY}/replay"),
    ):
        assert is_error(caller.ask(method, QUARANTINE + path), 403, "Access denied")
    assert is_error(caller.delete(f"{QUARANTINE}/{NOBODY}"), 403, "Access denied")


def test_replays_and_discards_are_audited_without_what_leads_say(
    engine: Engine, admin: Caller, partner: Person
) -> None:
    lead = bad_lead(partner)
    first, second = park(engine, lead, bad_lead(partner))
    replay(admin, first, corrected(lead))
    admin.delete(f"{QUARANTINE}/{second}")

    said = [(row.action, row.target, row.target_id, row.after) for row in rows(engine, audit_log)]
    assert said[-2:] == [
        ("replay", "quarantined_lead", first, {"leadId": str(lead.id), "corrected": True}),
        ("discard", "quarantined_lead", second, None),
    ]

"""Erasure: a person is gone from every table, and does not come back with what was on its way."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Boolean, Connection, Date, Engine, Integer, Text, cast, delete, func, or_, select

from consumer.log_writer import LogWriter
from consumer.writer import NotWritten
from shared.columns import UtcTime
from shared.erasures import Erased, Erasures
from shared.messages import Lead
from shared.models import (
    api_request_logs,
    audit_log,
    duplicate_keys,
    erasures,
    lead_batches,
    leads,
    metadata,
    quarantined_leads,
)
from shared.queues import Delivery
from shared.times import utc_now
from tests.factories import EMAIL_HASHES, make_batch, make_exchange, make_lead, make_writer
from tests.fakes import FakeProducer, FakeQueue
from tests.integration.calling import Caller, Person, add_admin, add_partner, is_error
from tests.integration.stored import counted, number_of, rows, stored_ids
from tests.waiting import wait_until

ERASURES = "/admin/api/erasures"
ADA = "Ada.Lovelace@example.com"
NO_TEXT = (Integer, Boolean, Date, UtcTime)
NOBODY = "00000000-0000-4000-8000-000000000000"


def erase(admin: Caller, email: str = ADA) -> int:
    """How many leads were erased."""
    answer = admin.post(ERASURES, {"email": email})
    assert answer.status_code == 200, answer.text
    return int(answer.json["data"]["erased"])


def write(engine: Engine, *sent: Lead, **more: Any) -> None:
    make_writer(engine, **more).write([(make_batch(list(sent)), 0)])


def log(engine: Engine, **changes: Any) -> None:
    exchange = make_exchange(**{"received_at": utc_now()} | changes)
    LogWriter(FakeQueue, engine, Erasures(EMAIL_HASHES)).write([exchange])


def tables_with(engine: Engine, text: str) -> list[str]:
    """The tables that have the text in any column, in whichever case."""
    found = []
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            columns = [column for column in table.columns if not isinstance(column.type, NO_TEXT)]
            has = [func.instr(func.lower(cast(column, Text)), text) > 0 for column in columns]
            if not has:
                continue
            statement = select(func.count()).select_from(table).where(or_(*has))
            if connection.scalar(statement):
                found.append(table.name)
    return found


def test_a_person_is_gone_from_every_table(engine: Engine, admin: Caller, partner: Person) -> None:
    other = add_partner(engine, "other@example.com")
    first = make_lead(client_id=partner.id, email=ADA)
    second = make_lead(client_id=partner.id, email=ADA.lower(), test=True)
    third = make_lead(client_id=other.id, email=ADA.upper())
    bad = make_lead(client_id=partner.id, email=ADA, dateOfBirth="never")
    kept = make_lead(client_id=partner.id, email="somebody.else@example.com")
    write(engine, first, second, third, bad, kept)
    make_writer(engine).write([], [(Delivery(f'{{"e":"{ADA}"'.encode(), 0, 1), "not JSON")])
    log(engine, payload=f'{{"email":"{ADA}"}}')
    log(engine, query="email=ada.lovelace%40example.com&page=1")
    log(engine, body=f'{{"items":[{{"email":"{ADA.upper()}"}}]}}', request_id="r7")
    log(engine, payload='{"cut":"…', request_id=first.request_id, client_id=partner.id)
    before = tables_with(engine, ADA.lower())
    assert sorted(before) == ["api_request_logs", "api_response_logs", "leads", "quarantined_leads"]

    assert erase(admin, "ada.lovelace@EXAMPLE.com") == 4

    assert tables_with(engine, ADA.lower()) == []
    assert stored_ids(engine) == [kept.id]
    assert number_of(engine, quarantined_leads) == 0
    assert number_of(engine, api_request_logs) == 4
    assert tables_with(engine, "cut") == []
    for grain in ("all", "day", "hour", "minute"):
        assert counted(engine, "stored", grain) == 1
        assert counted(engine, "duplicate", grain) == counted(engine, "quarantined", grain) == 0
    assert number_of(engine, duplicate_keys) == 1
    assert sum(row.leads for row in rows(engine, lead_batches)) == 5


def test_the_person_may_be_posted_anew_and_is_no_duplicate(
    engine: Engine, admin: Caller, partner: Person
) -> None:
    write(engine, make_lead(client_id=partner.id, email=ADA))
    assert erase(admin) == 1
    anew = make_lead(client_id=partner.id, email=ADA, received_at=utc_now())
    write(engine, anew)

    assert [(row.id, row.status) for row in rows(engine, leads)] == [(anew.id, "stored")]


def test_a_key_goes_even_when_its_lead_is_not_there_any_more(
    engine: Engine, admin: Caller, partner: Person
) -> None:
    write(engine, make_lead(client_id=partner.id, email=ADA))
    with engine.begin() as connection:
        connection.execute(delete(leads))

    assert erase(admin) == 0

    assert number_of(engine, duplicate_keys) == 0


def test_what_was_on_its_way_does_not_come_back(engine: Engine, admin: Caller, partner: Person) -> None:
    late, other = make_lead(client_id=partner.id, email=ADA.upper()), make_lead(client_id=partner.id)
    bad = make_lead(client_id=partner.id, email=ADA, dateOfBirth="never")
    assert erase(admin) == 0
    write(engine, late, other, bad)

    assert stored_ids(engine) == [other.id]
    assert number_of(engine, quarantined_leads) == 0
    (receipt,) = rows(engine, lead_batches)
    assert (receipt.leads, receipt.stored, receipt.erased, receipt.quarantined) == (3, 1, 2, 0)
    assert (counted(engine), counted(engine, "erased")) == (1, 0)
    assert tables_with(engine, ADA.lower()) == []


def test_a_replay_does_not_bring_it_back(
    engine: Engine, admin: Caller, partner: Person, producer: FakeProducer
) -> None:
    bad = make_lead(client_id=partner.id, email=ADA, dateOfBirth="never")
    write(engine, bad)
    (parked,) = rows(engine, quarantined_leads)
    corrected = bad.content | {"dateOfBirth": "1990-02-28"}
    assert admin.post(f"/admin/api/quarantine/{parked.id}/replay", corrected).status_code == 202
    (sent,) = producer.batches()

    assert erase(admin) == 1
    make_writer(engine).write([(sent, 0)])

    assert stored_ids(engine) == []
    assert number_of(engine, quarantined_leads) == 0
    assert (counted(engine), counted(engine, "quarantined")) == (0, 0)


def test_a_lead_corrected_to_somebody_who_was_erased_before_is_stored(
    engine: Engine, admin: Caller, partner: Person, producer: FakeProducer
) -> None:
    bad = make_lead(client_id=partner.id, email=f"other.{ADA}", dateOfBirth="never")
    write(engine, bad)
    (parked,) = rows(engine, quarantined_leads)
    assert erase(admin) == 0
    corrected = bad.content | {"email": ADA, "dateOfBirth": "1990-02-28"}
    assert admin.post(f"/admin/api/quarantine/{parked.id}/replay", corrected).status_code == 202
    (sent,) = producer.batches()
    make_writer(engine).write([(sent, 0)])

    assert stored_ids(engine) == [bad.id]
    assert (counted(engine), counted(engine, "quarantined")) == (1, 0)


def test_a_lead_that_was_in_quarantine_goes_with_what_was_there(
    engine: Engine, admin: Caller, partner: Person, producer: FakeProducer
) -> None:
    bad = make_lead(client_id=partner.id, email="wrong.person@example.com", dateOfBirth="never")
    write(engine, bad)
    (parked,) = rows(engine, quarantined_leads)
    corrected = bad.content | {"dateOfBirth": "1990-02-28", "email": ADA}
    assert admin.post(f"/admin/api/quarantine/{parked.id}/replay", corrected).status_code == 202
    make_writer(engine).write([(batch, 0) for batch in producer.batches()])
    assert stored_ids(engine) == [bad.id]

    assert erase(admin) == 1

    assert number_of(engine, leads) == number_of(engine, quarantined_leads) == 0
    assert (counted(engine), counted(engine, "quarantined")) == (0, 0)


def test_logs_that_were_on_their_way_come_without_the_person(engine: Engine, admin: Caller) -> None:
    sent_at = utc_now()
    erase(admin)
    log(engine, received_at=sent_at, payload=f'{{"email":"{ADA}"}}', body=f'["{ADA.upper()}"]')
    log(engine, received_at=sent_at, query="email=ada.lovelace%40example.com")
    log(engine, received_at=sent_at, payload='{"email":"b@example.com"}')

    assert tables_with(engine, "lovelace") == []
    said = [row.payload for row in rows(engine, api_request_logs) if row.payload]
    assert said == ['{"email":"b@example.com"}']


def test_one_lead_is_erased(engine: Engine, admin: Caller, partner: Person, app: Flask) -> None:
    lead, kept = (make_lead(client_id=partner.id, email=ADA) for _ in range(2))
    bad = make_lead(client_id=partner.id, dateOfBirth="never")
    write(engine, lead, kept, bad)
    log(engine, payload="{}", body=f'{{"data":{{"id":"{lead.id}"}}}}')

    for id in (lead.id, bad.id):
        assert admin.delete(f"/admin/api/leads/{id}").status_code == 204
        assert is_error(admin.get(f"/api/leads/{id}"), 404, "Lead not found")
        assert is_error(admin.delete(f"/admin/api/leads/{id}"), 404, "Lead not found")
    write(engine, lead)

    assert stored_ids(engine) == [kept.id]
    assert (counted(engine), counted(engine, "duplicate"), counted(engine, "quarantined")) == (0, 1, 0)
    assert tables_with(engine, str(lead.id)) == ["audit_log"]


def test_erasures_are_audited_without_the_email(engine: Engine, admin: Caller, partner: Person) -> None:
    lead, other = make_lead(client_id=partner.id, email=ADA), make_lead(client_id=partner.id)
    write(engine, lead, other)
    erase(admin)
    admin.delete(f"/admin/api/leads/{other.id}")

    said = [(row.action, row.target, row.target_id, row.after) for row in rows(engine, audit_log)[-2:]]
    hashed = EMAIL_HASHES(ADA).hex()[:16]
    assert said == [("erase", "person", hashed, {"leads": 1}), ("erase", "lead", str(other.id), None)]


@pytest.mark.parametrize("body", [{}, {"email": "ada"}, {"email": None}, {"email": ADA, "all": True}])
def test_who_is_to_be_erased_must_be_said(admin: Caller, body: object) -> None:
    assert is_error(admin.post(ERASURES, body), 400, "Validation failed")


def test_it_is_for_admins(engine: Engine, app: Flask, partner: Person) -> None:
    assert is_error(partner.calls(app).post(ERASURES, {"email": ADA}), 403, "Access denied")
    assert is_error(partner.calls(app).delete(f"/admin/api/leads/{NOBODY}"), 403, "Access denied")
    assert is_error(add_admin(engine).calls(app).delete("/admin/api/leads/7"), 404, "Lead not found")


class PausingErasures(Erasures):
    """Stops a writer for a while, once, before or after one of the times it asks what was erased."""

    def __init__(self, look: int, *, before: bool) -> None:
        super().__init__(EMAIL_HASHES)
        self._look, self._before = look, before
        self._looks = 0
        self.is_there = threading.Event()
        self.may_go_on = threading.Event()

    def after(self, connection: Connection, moment: datetime | None) -> Erased:
        self._looks += 1
        if self._looks == self._look and self._before:
            self._pause()
        erased = super().after(connection, moment)
        if self._looks == self._look and not self._before:
            self._pause()
        return erased

    def _pause(self) -> None:
        self.is_there.set()
        assert self.may_go_on.wait(20)


FIRST, LAST = 1, 2


@pytest.mark.parametrize(("look", "before"), [(FIRST, False), (LAST, True), (LAST, False)])
@pytest.mark.parametrize("content", [{}, {"dateOfBirth": "never"}], ids=["stored", "quarantined"])
def test_who_is_erased_while_a_writer_is_at_work_does_not_slip_through(
    engine: Engine, admin: Caller, partner: Person, look: int, before: bool, content: dict[str, Any]
) -> None:
    batch = make_batch([make_lead(client_id=partner.id, email=ADA, **content)])
    pausing = PausingErasures(look, before=before)
    # Without duplicates, which would make the two wait for each other earlier.
    writer = make_writer(engine, erasures=pausing, window_days=0)

    with ThreadPoolExecutor(2) as threads:
        writing = threads.submit(writer.write, [(batch, 0)])
        assert pausing.is_there.wait(20)
        erasing = threads.submit(erase, admin)
        if engine.dialect.name != "sqlite":  # there whoever erases waits for the writer from the beginning
            wait_until(lambda: number_of(engine, erasures) == 1, "the erasure is noted")
            if look == FIRST:  # nothing is written yet that it would wait for
                assert erasing.result(30) == 0
        pausing.may_go_on.set()
        erasing.result(30)
        try:
            writing.result(30)
        except NotWritten:
            writer.write([(batch, 0)])

    assert stored_ids(engine) == []
    assert number_of(engine, quarantined_leads) == 0
    assert tables_with(engine, ADA.lower()) == []
    assert counted(engine) == counted(engine, "quarantined") == 0

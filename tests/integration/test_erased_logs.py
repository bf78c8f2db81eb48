"""An erased person is in no log of exchanges and in no message that nobody could read, however it is written
there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from admin_service import log_wiping
from consumer.log_writer import LogWriter
from consumer.writer import NotWritten
from shared.erasures import Erasures
from shared.models import api_request_logs, api_response_logs, leads, quarantined_leads
from shared.queues import Delivery
from shared.times import utc_now
from tests.factories import EMAIL_HASHES, make_batch, make_exchange, make_lead, make_writer
from tests.fakes import FakeQueue
from tests.integration.calling import Caller, Person
from tests.integration.stored import rows
from tests.integration.test_erasures import FIRST, LAST, PausingErasures, erase

EMAILS = [
    "Ada.Lovelace@example.com",
    "o'brien+news@example.com",
    "a&b=c@example.com",
    '"ada,l"@example.com',
    "Ärger@exämple.com",
]
OTHER = "somebody.else@example.com"


def log(engine: Engine, *said: dict[str, Any]) -> None:
    exchanges = [
        make_exchange(**{"received_at": utc_now(), "payload": None, "body": None} | it) for it in said
    ]
    LogWriter(FakeQueue, engine, Erasures(EMAIL_HASHES)).write(exchanges)


def mentions(email: str) -> list[dict[str, Any]]:
    """Exchanges in which it is said, in each way that it may be."""
    return [
        {"payload": json.dumps({"email": email})},
        {"payload": json.dumps({"email": email.upper()}, ensure_ascii=False)},
        {"body": json.dumps({"items": [{"email": OTHER}, {"email": email}]})},
        {"query": f"page=1&email={quote(email)}"},
        {"query": f"email={quote(email, '')}&page=1"},
    ]


def what_logs_say(engine: Engine) -> list[str]:
    requests, responses = rows(engine, api_request_logs), rows(engine, api_response_logs)
    said = [text for row in requests for text in (row.query, row.payload)] + [row.body for row in responses]
    return [text for text in said if text is not None]


@pytest.mark.parametrize("email", EMAILS)
def test_what_was_logged_before_says_nothing_any_more(engine: Engine, admin: Caller, email: str) -> None:
    log(engine, *mentions(email), *mentions(OTHER))
    erase(admin, email)

    assert len(what_logs_say(engine)) == len(mentions(OTHER))


@pytest.mark.parametrize("email", EMAILS)
def test_what_is_still_on_its_way_comes_without_it(engine: Engine, admin: Caller, email: str) -> None:
    sent_at = utc_now()
    erase(admin, email)
    log(engine, *({"received_at": sent_at} | it for it in [*mentions(email), *mentions(OTHER)]))

    assert len(what_logs_say(engine)) == len(mentions(OTHER))


@pytest.mark.parametrize("is_there", [True, False], ids=["stored", "on its way"])
def test_a_log_that_was_cut_before_the_email_goes_with_the_leads_request(
    engine: Engine, admin: Caller, partner: Person, is_there: bool
) -> None:
    lead = make_lead(client_id=partner.id, email=EMAILS[0])
    cut = {"received_at": utc_now(), "request_id": lead.request_id, "payload": '{"lastName":"Lovelace","…'}
    make_writer(engine).write([(make_batch([lead]), 0)])
    if is_there:
        log(engine, cut)
    erase(admin, EMAILS[0])
    if not is_there:
        log(engine, cut)

    assert what_logs_say(engine) == []


@pytest.mark.parametrize("way", ["person", "lead"])
def test_an_erasure_that_was_cut_short_in_the_logs_is_finished_when_asked_for_again(
    engine: Engine, admin: Caller, partner: Person, way: str
) -> None:
    lead = make_lead(client_id=partner.id, email=EMAILS[0])
    make_writer(engine).write([(make_batch([lead]), 0)])
    log(engine, {"request_id": lead.request_id, "payload": '{"lastName":"Lovelace","…'})

    def ask() -> int:
        if way == "lead":
            return admin.delete(f"/admin/api/leads/{lead.id}").status_code
        return admin.post("/admin/api/erasures", {"email": EMAILS[0]}).status_code

    with failing(engine, "UPDATE api_request_logs"):
        assert ask() == 503
    assert ask() == (204 if way == "lead" else 200)

    assert what_logs_say(engine) == []
    assert rows(engine, leads) == []


@contextmanager
def failing(engine: Engine, beginning: str) -> Iterator[None]:
    """The database goes away at every statement that begins so."""

    def fail(*arguments: Any) -> None:
        if arguments[2].startswith(beginning):
            raise OperationalError(beginning, {}, Exception("gone"))

    event.listen(engine, "before_cursor_execute", fail)
    yield
    event.remove(engine, "before_cursor_execute", fail)


def test_a_long_log_is_looked_through_in_steps(
    engine: Engine, admin: Caller, partner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_wiping, "CHUNK", 7)
    monkeypatch.setattr(log_wiping, "CONDITIONS", 1)
    of_ada = [make_lead(client_id=partner.id, email=EMAILS[0]) for _ in range(30)]
    make_writer(engine).write([(make_batch(of_ada), 0)])
    log(engine, *({"request_id": lead.request_id, "payload": "cut"} for lead in of_ada))
    log(engine, *({"request_id": "used again", "payload": OTHER} for _ in range(30)))
    for _ in range(10):
        log(engine, *mentions(EMAILS[0]), *mentions(OTHER))

    assert erase(admin, EMAILS[0]) == 30

    assert len(what_logs_say(engine)) == 30 + 10 * len(mentions(OTHER))


def broken(email: str) -> Delivery:
    return Delivery(f'{{"leads":[{{"email":{json.dumps(email)}'.encode(), 0, 1)


@pytest.mark.parametrize("email", EMAILS)
def test_a_message_that_nobody_could_read_goes_if_it_was_parked(
    engine: Engine, admin: Caller, email: str
) -> None:
    make_writer(engine).write([], [(broken(email), "not JSON"), (broken(OTHER), "not JSON")])
    erase(admin, email)

    assert [row.payload for row in rows(engine, quarantined_leads)] == [broken(OTHER).body]


@pytest.mark.parametrize("email", EMAILS)
def test_a_message_that_nobody_can_read_is_parked_without_its_bytes_if_it_comes_later(
    engine: Engine, admin: Caller, email: str
) -> None:
    erase(admin, email)
    make_writer(engine).write([], [(broken(email), "not JSON"), (broken(OTHER), "not JSON")])

    assert {row.payload: row.detail for row in rows(engine, quarantined_leads)} == {
        b"": "left out, because somebody who was erased is in it",
        broken(OTHER).body: "not JSON",
    }


@pytest.mark.parametrize(("look", "before"), [(FIRST, False), (LAST, True), (LAST, False)])
def test_nor_does_it_slip_through_while_a_writer_is_parking_it(
    engine: Engine, admin: Caller, look: int, before: bool
) -> None:
    message = (broken(EMAILS[0]), "not JSON")
    pausing = PausingErasures(look, before=before)
    writer = make_writer(engine, erasures=pausing)
    with ThreadPoolExecutor(2) as threads:
        writing = threads.submit(writer.write, [], [message])
        assert pausing.is_there.wait(20)
        erasing = threads.submit(erase, admin, EMAILS[0])
        pausing.may_go_on.set()
        erasing.result(30)
        with suppress(NotWritten):
            writing.result(30)
    writer.write([], [message])

    assert [row.payload for row in rows(engine, quarantined_leads)] == [b""]

"""What the writer does with what cannot be stored: it parks that, and stores the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, event

from consumer.writer import NotWritten
from shared.database import open_database
from shared.models import lead_batches, quarantined_leads
from shared.queues import Delivery
from tests.factories import NOON, make_batch, make_lead, make_writer
from tests.integration.stored import assert_all_stored_once, counted, receipts, rows, stored_ids
from tests.proxy import Proxy

MIB = 1024 * 1024
SURROGATE = "\ud83d"

# What neither database can take.
BAD_EVERYWHERE: dict[str, dict[str, Any]] = {
    "email missing": {"email": None},
    "email a number": {"email": 5},
    "date of birth nonsense": {"dateOfBirth": "the ides of March"},
    "date of birth long nonsense": {"dateOfBirth": "long ago " * 20_000},
    "date of birth a number": {"dateOfBirth": 19900228},
    "first name an object": {"firstName": {"a": 1}},
    "last name a list": {"lastName": ["a"]},
    "city an object": {"city": {"a": 1}},
    "city a list": {"city": ["a", "b"]},
    "phone a number": {"phone": 4915112345678},
    "zip code true": {"zipCode": True},
    "half a surrogate pair in the first name": {"firstName": SURROGATE},
    "half a surrogate pair in the city": {"city": SURROGATE},
    "half a surrogate pair in the verticals": {"verticals": [SURROGATE]},
    "half a surrogate pair in additional data": {"additionalData": {"a": [SURROGATE]}},
}

# What SQLite, which knows no lengths, stores all the same.
BAD_ON_SERVERS: dict[str, dict[str, Any]] = {
    "province code of five characters": {"provinceCode": "ABCDE"},
    "email of 300 characters": {"email": f"{'a' * 288}@example.com"},
    "client reference of 101 characters": {"clientReference": "r" * 101},
}


def assert_parked_alone(engine: Engine, content: dict[str, Any]) -> None:
    """Of 1,000 leads the one with `content` is quarantined, the others are stored."""
    leads = [make_lead() for _ in range(1000)]
    leads[617] = bad = make_lead(**content)

    make_writer(engine, lambda: NOON).write([(make_batch(leads), 2)])

    assert set(stored_ids(engine)) == {lead.id for lead in leads if lead is not bad}
    assert receipts(engine) == [(1, False, 1000, 999, 1)]
    assert (counted(engine), counted(engine, "quarantined")) == (999, 1)
    (parked,) = rows(engine, quarantined_leads)
    assert (parked.lead_id, parked.client_id, parked.received_at) == (bad.id, 1, bad.received_at)
    assert (parked.reason, parked.attempts, parked.created_at) == ("refused_by_database", 3, NOON)
    assert parked.detail
    assert str(bad.id).encode() in parked.payload


@pytest.mark.parametrize("content", BAD_EVERYWHERE.values(), ids=BAD_EVERYWHERE)
def test_a_lead_that_cannot_be_stored_is_parked_alone(engine: Engine, content: dict[str, Any]) -> None:
    assert_parked_alone(engine, content)


@pytest.mark.parametrize("content", BAD_ON_SERVERS.values(), ids=BAD_ON_SERVERS)
@pytest.mark.parametrize("engine", ["mariadb", "mysql"], indirect=True)
def test_a_lead_that_is_too_long_for_the_server_is_parked_alone(
    engine: Engine, content: dict[str, Any]
) -> None:
    assert_parked_alone(engine, content)


def test_a_parked_lead_keeps_everything_it_was_sent_with(engine: Engine) -> None:
    lead = make_lead(dateOfBirth="never", city="Zürich 😀", additionalData={"deep": [1, 2.5, None]})

    make_writer(engine).write([(make_batch([lead]), 0)])

    (parked,) = rows(engine, quarantined_leads)
    payload = orjson.loads(parked.payload)
    assert payload["content"] == lead.content
    assert payload["requestId"] == lead.request_id
    assert "never" in parked.detail


def test_two_leads_with_the_same_id_are_stored_once_and_parked_once(engine: Engine) -> None:
    lead = make_lead()

    make_writer(engine).write([(make_batch([lead, lead]), 0)])

    assert stored_ids(engine) == [lead.id]
    assert receipts(engine) == [(1, False, 2, 1, 1)]


def test_a_batch_of_nothing_but_bad_leads_is_parked_whole(engine: Engine) -> None:
    leads = [make_lead(dateOfBirth="never") for _ in range(300)]

    make_writer(engine).write([(make_batch(leads), 0)])

    assert {row.lead_id for row in rows(engine, quarantined_leads)} == {lead.id for lead in leads}
    assert receipts(engine) == [(1, False, 300, 0, 300)]


def test_a_batch_with_parked_leads_that_comes_again_changes_nothing(engine: Engine) -> None:
    batch = make_batch([make_lead(), make_lead(dateOfBirth="never")])
    writer = make_writer(engine)
    writer.write([(batch, 0)])
    before = rows(engine, quarantined_leads), rows(engine, lead_batches)

    writer.write([(batch, 1)])

    assert (rows(engine, quarantined_leads), rows(engine, lead_batches)) == before
    assert (counted(engine), counted(engine, "quarantined")) == (1, 1)


def test_a_broken_message_is_parked_with_its_bytes_once_however_often_it_comes(engine: Engine) -> None:
    body = bytes(range(256))
    broken = (Delivery(body, 0, 1), "not JSON")
    good = make_batch([make_lead()])
    writer = make_writer(engine, lambda: NOON)

    writer.write([(good, 0)], [broken, broken])
    writer.write([], [broken])

    (parked,) = rows(engine, quarantined_leads)
    assert bytes(parked.payload) == body
    assert (parked.reason, parked.detail, parked.attempts) == ("undecodable_message", "not JSON", 3)
    assert (parked.lead_id, parked.client_id, parked.received_at) == (None, None, None)
    assert stored_ids(engine) == [good.leads[0].id]


def test_different_broken_messages_are_parked_each(engine: Engine) -> None:
    broken = [(Delivery(b"\0%d" % number, 0, number), "not JSON") for number in range(50)]

    make_writer(engine).write([], broken)

    assert {bytes(row.payload) for row in rows(engine, quarantined_leads)} == {d.body for d, _ in broken}


def test_many_large_broken_messages_are_parked_at_once(engine: Engine) -> None:
    bodies = {bytes([number]) + b"\0'\\\"" * MIB for number in range(4)}  # almost twice as long, escaped

    make_writer(engine).write([], [(Delivery(body, 0, 1), "not JSON") for body in bodies])

    assert {bytes(row.payload) for row in rows(engine, quarantined_leads)} == bodies


def test_of_a_broken_message_larger_than_any_of_ours_the_beginning_is_parked(engine: Engine) -> None:
    body = b"\0'\\\"" * (5 * MIB)

    make_writer(engine).write([], [(Delivery(body, 0, 1), "not JSON")])

    (parked,) = rows(engine, quarantined_leads)
    assert bytes(parked.payload) == body[: 7 * MIB]
    assert parked.detail == f"the first {7 * MIB} of {20 * MIB} bytes: not JSON"


def test_a_reason_as_long_as_a_message_is_cut(engine: Engine) -> None:
    make_writer(engine).write([], [(Delivery(b"x", 0, 1), f"broken message: {'long ' * 50_000}")])

    (parked,) = rows(engine, quarantined_leads)
    assert parked.detail.startswith("broken message: long long")


@pytest.mark.parametrize("engine", ["mariadb", "mysql"], indirect=True)
@pytest.mark.parametrize("moment", ["before", "between leads and counts"])
def test_a_database_that_goes_is_told_and_the_same_is_written_when_it_is_back(
    engine: Engine, moment: str
) -> None:
    url = engine.url.render_as_string(hide_password=False)
    batch = make_batch([make_lead() for _ in range(100)])
    with Proxy(url, 3306) as proxy:
        way_there = open_database(proxy.instead_of(url))
        writer = make_writer(way_there)
        writer.ping()
        if moment == "before":
            proxy.cut()
        else:
            event.listen(way_there, "before_cursor_execute", cut_before_counts(proxy))

        with pytest.raises(NotWritten):
            writer.write([(batch, 0)])
        with pytest.raises(NotWritten):
            writer.ping()
        assert stored_ids(engine) == []
        proxy.restore()
        writer.ping()
        writer.write([(batch, 1)])
        way_there.dispose()

    assert_all_stored_once(engine, {lead.id for lead in batch.leads})


def cut_before_counts(proxy: Proxy) -> Callable[..., None]:
    cuts = iter([proxy.cut])

    def cut(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO lead_counts"):
            next(cuts, lambda: None)()

    return cut


def test_a_fault_of_the_database_is_told_without_the_data_of_leads(engine: Engine) -> None:
    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def break_it(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, _many: bool) -> Any:
        return statement.replace("INSERT INTO leads ", "INSERT INTO leads_that_are_gone "), parameters

    batch = make_batch([make_lead(firstName="Geheimrat", email="geheim@example.com") for _ in range(2)])
    with pytest.raises(NotWritten, match="leads_that_are_gone") as told:
        make_writer(engine).write([(batch, 0)])

    assert "eheim" not in str(told.value)

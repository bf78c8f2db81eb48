"""The writer's transaction on real databases: each batch once, all or nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, event, insert

from consumer.writer import NotWritten
from shared.database import writing
from shared.lead_counting import EVER
from shared.messages import Lead
from shared.models import lead_batches, lead_counts, lead_producers, leads, metadata
from tests.factories import NOON, make_batch, make_lead, make_writer
from tests.integration.stored import assert_all_stored_once, counted, number_of, receipts, rows, stored_ids

LATER = NOON + timedelta(hours=1)


def some_leads(number: int) -> list[Lead]:
    return [make_lead() for _ in range(number)]


def test_a_batch_is_stored_with_its_receipt_and_counts(engine: Engine) -> None:
    batch = make_batch([*some_leads(3), make_lead(client_id=2), make_lead(client_id=2, test=True)])
    producer_id = batch.header.producer_id

    make_writer(engine, lambda: LATER).write([(batch, 0)])

    assert_all_stored_once(engine, {lead.id for lead in batch.leads})
    (receipt,) = rows(engine, lead_batches)
    assert (receipt.producer_id, receipt.sequence, receipt.last_sequence) == (producer_id, 1, 1)
    assert (receipt.void, receipt.leads, receipt.stored, receipt.quarantined) == (False, 5, 5, 0)
    assert (receipt.duplicate, receipt.erased) == (0, 0)
    assert receipt.first_received_at == batch.leads[0].received_at
    assert receipt.stored_at == LATER
    assert {(row.producer_id, row.sequence, row.stored_at) for row in rows(engine, leads)} == {
        (producer_id, 1, LATER)
    }
    of_all_time = [(*tuple(row)[:3], row.leads) for row in rows(engine, lead_counts) if row.grain == "all"]
    assert of_all_time == [(1, False, "stored", 3), (2, False, "stored", 1), (2, True, "stored", 1)]


def test_leads_are_counted_in_the_minute_hour_and_day_they_were_received(engine: Engine) -> None:
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    before, after = midnight - timedelta(microseconds=1), midnight
    batch = make_batch([make_lead(received_at=moment) for moment in (before, after, after)])

    make_writer(engine).write([(batch, 0)])

    counts = {(row.grain, row.bucket): row.leads for row in rows(engine, lead_counts)}
    assert counts == {
        ("all", EVER): 3,
        ("day", midnight - timedelta(days=1)): 1,
        ("day", midnight): 2,
        ("hour", midnight - timedelta(hours=1)): 1,
        ("hour", midnight): 2,
        ("minute", midnight - timedelta(minutes=1)): 1,
        ("minute", midnight): 2,
    }


def test_a_batch_that_comes_twice_in_one_take_is_stored_once(engine: Engine) -> None:
    batch = make_batch(some_leads(3))

    make_writer(engine).write([(batch, 0), (batch, 1)])

    assert_all_stored_once(engine, {lead.id for lead in batch.leads})


def test_a_batch_that_comes_again_later_is_stored_once(engine: Engine) -> None:
    first, second = (make_batch(some_leads(2)) for _ in range(2))
    writer = make_writer(engine)

    writer.write([(first, 0)])
    writer.write([(second, 0), (first, 1)])
    writer.write([(first, 2), (second, 1)])

    assert_all_stored_once(engine, {lead.id for lead in first.leads + second.leads})


def test_numbers_of_different_producers_do_not_get_mixed_up(engine: Engine) -> None:
    batches = [make_batch(some_leads(1), sequence=sequence) for sequence in (1, 1, 2, 2)]

    make_writer(engine).write([(batch, 0) for batch in batches])

    assert_all_stored_once(engine, {lead.id for batch in batches for lead in batch.leads})


def test_a_void_that_comes_first_wins_over_its_batch(engine: Engine) -> None:
    producer_id = uuid4()
    given_up = make_batch(some_leads(2), producer_id=producer_id, sequence=1)
    next_one = make_batch(some_leads(1), producer_id=producer_id, sequence=2, voids=(1,))
    writer = make_writer(engine)

    writer.write([(next_one, 0)])
    writer.write([(given_up, 0)])

    assert stored_ids(engine) == [next_one.leads[0].id]
    assert receipts(engine) == [(1, True, 0, 0, 0), (2, False, 1, 1, 0)]


def test_a_batch_that_comes_first_wins_over_its_void(engine: Engine) -> None:
    producer_id = uuid4()
    given_up = make_batch(some_leads(2), producer_id=producer_id, sequence=1)
    next_one = make_batch(some_leads(1), producer_id=producer_id, sequence=2, voids=(1,))
    writer = make_writer(engine)

    writer.write([(given_up, 0)])
    writer.write([(next_one, 0)])

    assert_all_stored_once(engine, {lead.id for lead in given_up.leads + next_one.leads})
    assert receipts(engine) == [(1, False, 2, 2, 0), (2, False, 1, 1, 0)]


@pytest.mark.parametrize("first_in_the_take", ["batch", "void"])
def test_of_a_batch_and_its_void_in_one_take_the_first_wins(engine: Engine, first_in_the_take: str) -> None:
    producer_id = uuid4()
    given_up = make_batch(some_leads(2), producer_id=producer_id, sequence=1)
    next_one = make_batch(some_leads(1), producer_id=producer_id, sequence=2, voids=(1,))
    take = [given_up, next_one] if first_in_the_take == "batch" else [next_one, given_up]

    make_writer(engine).write([(batch, 0) for batch in take])

    assert [void for _, void, *_ in receipts(engine)] == [first_in_the_take == "void", False]
    assert len(stored_ids(engine)) == (3 if first_in_the_take == "batch" else 1)


def test_a_compacted_receipt_covers_every_number_in_its_range(engine: Engine) -> None:
    producer_id = uuid4()
    ranges = [
        dict(compacted_receipt(first, last), producer_id=producer_id) for first, last in ((1, 5), (8, 9))
    ]
    with writing(engine).begin() as connection:
        connection.execute(insert(lead_batches), ranges)
    batches = [
        make_batch(
            some_leads(1), producer_id=producer_id, sequence=number, voids=(3, 7) if number == 10 else ()
        )
        for number in (1, 3, 5, 6, 8, 9, 10)
    ]

    make_writer(engine).write([(batch, 1) for batch in batches])

    assert {row.sequence for row in rows(engine, leads)} == {6, 10}
    assert [(sequence, void) for sequence, void, *_ in receipts(engine)] == [
        (1, False),
        (6, False),
        (7, True),
        (8, False),
        (10, False),
    ]


def test_a_single_number_within_a_compacted_range_is_covered(engine: Engine) -> None:
    producer_id = uuid4()
    with writing(engine).begin() as connection:
        connection.execute(insert(lead_batches).values(producer_id=producer_id, **compacted_receipt(1, 5)))

    make_writer(engine).write([(make_batch(some_leads(1), producer_id=producer_id, sequence=3), 1)])

    assert stored_ids(engine) == []


def compacted_receipt(first: int, last: int) -> dict[str, Any]:
    number = last - first + 1
    return {
        "sequence": first,
        "last_sequence": last,
        "void": False,
        "leads": number,
        "stored": number,
        "duplicate": 0,
        "quarantined": 0,
        "erased": 0,
        "first_received_at": NOON,
        "stored_at": NOON,
    }


def test_what_producers_say_of_themselves_only_grows(engine: Engine) -> None:
    producer_id = uuid4()
    clock = iter([NOON, NOON, LATER])
    writer = make_writer(engine, lambda: next(clock))

    writer.write([(checkpoint(producer_id, 3, 30), 0)])
    writer.write([(checkpoint(producer_id, 7, 70), 0), (checkpoint(producer_id, 5, 50), 0)])
    writer.write([(checkpoint(producer_id, 6, 60), 0)])

    (row,) = rows(engine, lead_producers)
    assert tuple(row) == (producer_id, 7, 70, NOON, LATER)
    assert receipts(engine) == []


def checkpoint(producer_id: Any, settled_through: int, settled_leads: int) -> Any:
    return make_batch(
        [], producer_id=producer_id, sequence=0, settled_through=settled_through, settled_leads=settled_leads
    )


@pytest.mark.parametrize("table", ["lead_batches", "leads", "lead_producers", "lead_counts"])
def test_a_transaction_that_fails_leaves_nothing(engine: Engine, table: str) -> None:
    batch = make_batch(some_leads(3))

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def spoil(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, _many: bool) -> Any:
        if statement.startswith(f"INSERT INTO {table} "):
            statement = "INSERT INTO no_such_table SELECT 1"
        return statement, parameters

    with pytest.raises(NotWritten):
        make_writer(engine).write([(batch, 0)])
    event.remove(engine, "before_cursor_execute", spoil)

    assert {table.name: number_of(engine, table) for table in metadata.sorted_tables} == {
        table.name: 1 if table.name == "identity_version" else 0 for table in metadata.sorted_tables
    }
    make_writer(engine).write([(batch, 1)])
    assert_all_stored_once(engine, {lead.id for lead in batch.leads})


def test_nothing_to_write_is_written_without_a_fault(engine: Engine) -> None:
    make_writer(engine).write([])

    assert counted(engine) == 0

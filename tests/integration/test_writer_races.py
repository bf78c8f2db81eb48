"""Several consumers write to one database at the same time."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from consumer.writer import NotWritten, Writer
from shared.database import open_database
from shared.messages import Batch
from shared.models import lead_producers, quarantined_leads
from shared.queues import Delivery
from tests.factories import make_batch, make_lead, make_writer
from tests.integration.stored import assert_all_stored_once, receipts, rows, stored_ids

TRIES = 200


@pytest.fixture
def writers(engine: Engine) -> Iterator[list[Writer]]:
    """Two writers with connections of their own."""
    url = engine.url.render_as_string(hide_password=False)
    with ExitStack() as closing:
        engines = [open_database(url) for _ in range(2)]
        for own in engines:
            closing.callback(own.dispose)
        yield [make_writer(own) for own in engines]


def write(writer: Writer, batches: Sequence[Batch] = (), broken: Sequence[tuple[Delivery, str]] = ()) -> None:
    """Writes as the consumer does: again, where another writer was faster."""
    for _ in range(TRIES):
        try:
            writer.write([(batch, 0) for batch in batches], broken)
        except NotWritten as error:
            fault = error
        else:
            return
    pytest.fail(f"not written in {TRIES} tries: {fault}")


def all_at_once(*works: Callable[[], None]) -> None:
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        gate.wait()
        work()

    with ThreadPoolExecutor(len(works)) as pool:
        list(pool.map(run, works))


def write_each(writer: Writer, takes: list[list[Batch]]) -> None:
    for take in takes:
        write(writer, take)


def one_by_one(batches: list[Batch]) -> list[list[Batch]]:
    return [[batch] for batch in batches]


def in_takes(batches: list[Batch]) -> list[list[Batch]]:
    """Portions of up to five, in a random order, as deliveries come."""
    shuffled = random.sample(batches, len(batches))
    takes = []
    while shuffled:
        size = random.randint(1, 5)
        takes.append(shuffled[:size])
        shuffled = shuffled[size:]
    return takes


def test_two_writers_with_the_same_batches_store_each_once(engine: Engine, writers: list[Writer]) -> None:
    producer_id = uuid4()
    batches = [
        make_batch([make_lead() for _ in range(5)], producer_id=producer_id, sequence=number)
        for number in range(1, 51)
    ]

    all_at_once(*(partial(write_each, writer, in_takes(batches)) for writer in writers))

    assert_all_stored_once(engine, {lead.id for batch in batches for lead in batch.leads})


def test_two_writers_lose_no_count_and_nothing_a_producer_said(engine: Engine, writers: list[Writer]) -> None:
    producer_id = uuid4()

    def of_writer(first: int) -> list[Batch]:
        return [
            make_batch(
                [make_lead(client_id=random.randint(1, 20)) for _ in range(10)],
                producer_id=producer_id,
                sequence=number,
                settled_through=number,
                settled_leads=number * 10,
            )
            for number in range(first, 101, 2)
        ]

    shares = [of_writer(1), of_writer(2)]

    all_at_once(*(partial(write_each, *pair) for pair in zip(writers, map(one_by_one, shares), strict=True)))

    assert_all_stored_once(engine, {lead.id for share in shares for batch in share for lead in batch.leads})
    (row,) = rows(engine, lead_producers)
    assert (row.settled_through, row.settled_leads) == (100, 1000)


def test_each_number_ends_as_batch_or_as_void_when_they_race(engine: Engine, writers: list[Writer]) -> None:
    producer_id = uuid4()
    batches = [make_batch([make_lead()], producer_id=producer_id, sequence=number) for number in range(1, 31)]
    voiding = [
        make_batch([], producer_id=producer_id, sequence=0, voids=(number,))
        for number in random.sample(range(1, 31), 30)
    ]

    all_at_once(
        partial(write_each, writers[0], one_by_one(batches)),
        partial(write_each, writers[1], one_by_one(voiding)),
    )

    ended = receipts(engine)
    assert [sequence for sequence, *_ in ended] == list(range(1, 31))
    kept = {sequence for sequence, void, *_ in ended if not void}
    assert set(stored_ids(engine)) == {
        batch.leads[0].id for batch in batches if batch.header.sequence in kept
    }


def test_broken_messages_that_two_writers_park_are_there_once_with_all_attempts(
    engine: Engine, writers: list[Writer]
) -> None:
    broken = [(Delivery(b"broken %d" % number, 0, number), "not JSON") for number in range(20)]

    def park_ten_times(writer: Writer) -> None:
        for _ in range(10):
            write(writer, (), random.sample(broken, 20))

    all_at_once(*(partial(park_ten_times, writer) for writer in writers))

    parked = rows(engine, quarantined_leads)
    assert {bytes(row.payload) for row in parked} == {delivery.body for delivery, _ in broken}
    assert {row.attempts for row in parked} == {20}

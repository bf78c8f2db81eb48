"""The loop between queue and database: nothing is acknowledged before it is committed, nothing is lost."""

from __future__ import annotations

import logging
from uuid import uuid4

import orjson
import pytest
from sqlalchemy import Engine, func, select

from consumer.consumer import (
    BACK_OFF_SECONDS,
    GATHER_SECONDS,
    READ_SECONDS,
    SUSPECT_ATTEMPTS,
    TAKE_SECONDS,
    WRITE_BYTES,
    WRITE_LEADS,
)
from shared.messages import NewerSchema
from shared.models import lead_batches, quarantined_leads
from shared.queues import Delivery, QueueUnavailable
from tests.factories import make_batch, make_lead, message
from tests.unit.consumer.in_memory import GONE, Failing, System, batches_of, messages_of


@pytest.fixture
def system(sqlite_engine: Engine) -> System:
    return System(sqlite_engine)


def test_leads_are_stored_and_their_messages_acknowledged(system: System) -> None:
    bodies = messages_of("a@example.com", "b@example.com", "c@example.com")
    queue = system.queue(*bodies)
    system.consumer.run()
    assert system.stored() == {"a@example.com", "b@example.com", "c@example.com"}
    assert queue.acknowledged == bodies
    assert queue.unacknowledged == []
    assert not queue.is_open


def test_what_is_there_is_written_in_one_transaction(system: System) -> None:
    system.queue(*messages_of("a@example.com", "b@example.com", "c@example.com"))
    system.consumer.run()
    assert [len(batches) for batches in system.writer.written] == [3]


def test_what_comes_soon_after_a_transaction_is_gathered_for_the_next(system: System) -> None:
    bodies = messages_of("a@example.com", "b@example.com", "c@example.com", "d@example.com")
    times = [GATHER_SECONDS * share for share in (0.25, 0.5, 0.75, 2.5)]
    system.let_come(system.queue(), *zip(times, bodies, strict=True))
    system.consumer.run()

    assert [len(batches) for batches in system.writer.written] == [1, 2, 1]
    assert system.sleeps == pytest.approx([GATHER_SECONDS * 0.75])  # and not from message to message


def test_what_is_full_gathers_no_more(system: System) -> None:
    full = message(make_batch([make_lead() for _ in range(WRITE_LEADS)]))
    (first,) = messages_of("a@example.com")
    system.let_come(system.queue(), (0.0, first), (0.0, full), (GATHER_SECONDS / 4, full))
    system.consumer.run()

    assert [len(batches) for batches in system.writer.written] == [2, 1]
    assert system.sleeps == []


def test_one_that_comes_after_a_quiet_moment_waits_for_no_other(system: System) -> None:
    queue = system.queue()
    (body,) = messages_of("a@example.com")
    system.let_come(queue, (TAKE_SECONDS / 2, body))
    system.consumer.run()
    assert queue.waits == [TAKE_SECONDS, 0, TAKE_SECONDS]
    assert system.sleeps == []


def test_what_is_still_being_read_goes_into_the_same_transaction(system: System) -> None:
    bodies = messages_of("a@example.com", "b@example.com", "c@example.com")
    queue = system.queue()
    system.let_come(queue, *zip((0.0, READ_SECONDS / 2, READ_SECONDS * 2), bodies, strict=True))
    system.consumer.run()

    assert [len(batches) for batches in system.writer.written] == [2, 1]
    assert queue.waits[:3] == pytest.approx([TAKE_SECONDS, READ_SECONDS, READ_SECONDS / 2])


def test_nor_does_one_that_comes_soon_after_nothing_was_there(system: System) -> None:
    queue = system.queue()
    (body,) = messages_of("a@example.com")
    system.let_come(queue, (TAKE_SECONDS + GATHER_SECONDS / 4, body))
    system.consumer.run()

    assert queue.waits[:3] == [TAKE_SECONDS, TAKE_SECONDS, 0]
    assert system.sleeps == []


def test_a_transaction_is_closed_at_1000_leads(system: System) -> None:
    system.queue(*[message(make_batch([make_lead() for _ in range(400)])) for _ in range(4)])
    system.consumer.run()
    assert WRITE_LEADS == 1000
    assert [len(batches) for batches in system.writer.written] == [3, 1]


def test_a_transaction_is_closed_at_4_mib(system: System) -> None:
    third = WRITE_BYTES // 3
    system.queue(*[message(make_batch([make_lead(additionalData={"long": "x" * third})])) for _ in range(4)])
    system.consumer.run()
    assert [len(batches) for batches in system.writer.written] == [3, 1]


def test_nothing_is_acknowledged_before_it_is_committed(system: System) -> None:
    queue = system.queue(*messages_of("a@example.com"))

    def look() -> None:
        assert queue.acknowledged == []
        assert system.stored() == {"a@example.com"}

    system.writer.after_write = look
    system.consumer.run()
    assert len(queue.acknowledged) == 1


def test_a_consumer_that_dies_after_the_commit_leaves_a_message_that_is_stored_once(system: System) -> None:
    bodies = messages_of("a@example.com")
    queue = system.queue(*bodies)
    system.writer.after_write = Failing(MemoryError(), times=1)
    with pytest.raises(MemoryError):
        system.consumer.run()
    assert queue.acknowledged == []
    again = system.queue(*bodies)
    system.consumer.run()
    assert again.acknowledged == bodies
    assert system.stored() == {"a@example.com"}


def test_messages_that_were_taken_are_kept_while_the_database_is_gone(system: System) -> None:
    bodies = messages_of("a@example.com", "b@example.com")
    queue = system.queue(*bodies)
    system.writer.before_write = Failing(GONE, 3, lambda: check(queue.acknowledged == []))
    system.consumer.run()
    assert system.stored() == {"a@example.com", "b@example.com"}
    assert queue.acknowledged == bodies
    assert len(system.writer.written) == 1


def check(condition: bool) -> None:
    assert condition


def test_while_the_database_is_gone_the_queue_is_kept_alive_and_waits_grow(system: System) -> None:
    queue = system.queue(*messages_of("a@example.com"))
    system.writer.before_write = Failing(GONE, times=8)
    system.consumer.run()
    first, longest = BACK_OFF_SECONDS
    assert system.sleeps == []
    for number, pause in enumerate(queue.pauses):
        whole = min(first * 2**number, longest)
        assert whole / 2 <= pause <= whole
    assert len(queue.pauses) == 8


def test_nothing_is_taken_while_the_database_is_gone(system: System) -> None:
    queue = system.queue(*messages_of("a@example.com"))
    system.writer.before_ping = Failing(
        GONE, 5, lambda: check(len(queue.waiting) == 1 and queue.unacknowledged == [])
    )
    system.consumer.run()
    assert len(queue.pauses) == 5
    assert system.stored() == {"a@example.com"}
    assert len(queue.acknowledged) == 1


def test_a_queue_that_cannot_be_opened_is_tried_again(system: System) -> None:
    queue = system.queue(*messages_of("a@example.com"))
    system.opening = Failing(QueueUnavailable("no connection"), times=8)
    system.consumer.run()
    first, longest = BACK_OFF_SECONDS
    for number, sleep in enumerate(system.sleeps):
        whole = min(first * 2**number, longest)
        assert whole / 2 <= sleep <= whole
    assert len(system.sleeps) == 8
    assert len(queue.acknowledged) == 1


def test_a_queue_that_goes_is_closed_and_opened_again(system: System) -> None:
    first, second = system.queue(), system.queue(*messages_of("a@example.com"))
    first.gone = "connection reset"
    system.consumer.run()
    assert not first.is_open
    assert len(second.acknowledged) == 1
    assert len(system.sleeps) == 1  # not at once: it may go again


def test_what_comes_again_because_the_queue_went_is_stored_once(system: System) -> None:
    bodies = messages_of("a@example.com", "b@example.com")
    first = system.queue(*bodies)

    def lose_queue() -> None:
        first.gone = "connection reset"

    system.writer.after_write = lose_queue
    second = system.queue(*bodies)
    system.consumer.run()
    assert first.acknowledged == []
    assert second.acknowledged == bodies
    assert system.stored() == {"a@example.com", "b@example.com"}


def test_a_message_that_came_often_before_is_written_alone(system: System) -> None:
    assert SUSPECT_ATTEMPTS == 2
    batches = batches_of("a@example.com", "b@example.com", "c@example.com", "d@example.com")
    queue = system.queue()
    for number, (batch, attempts) in enumerate(zip(batches, (0, SUSPECT_ATTEMPTS, 1, 7), strict=True)):
        queue.waiting.append(Delivery(message(batch), attempts, number))
    system.consumer.run()
    assert system.writer.written == [[batches[0]], [batches[1]], [batches[2]], [batches[3]]]
    assert len(queue.acknowledged) == 4


def test_a_message_that_came_once_before_is_written_with_the_others(system: System) -> None:
    batches = batches_of("a@example.com", "b@example.com")
    queue = system.queue()
    for number, batch in enumerate(batches):
        queue.waiting.append(Delivery(message(batch), SUSPECT_ATTEMPTS - 1, number))
    system.consumer.run()
    assert system.writer.written == [batches]


def test_a_suspect_that_was_set_aside_is_forgotten_when_the_queue_goes(system: System) -> None:
    (good, suspect), first = batches_of("a@example.com", "b@example.com"), system.queue()
    first.waiting.extend([Delivery(message(good), 0, 1), Delivery(message(suspect), SUSPECT_ATTEMPTS, 2)])

    def lose_queue() -> None:
        first.gone = "connection reset"

    system.writer.after_write = lose_queue
    second = system.queue(message(good), message(suspect))
    system.consumer.run()
    assert second.unacknowledged == []
    assert len(second.acknowledged) == 2
    assert system.stored() == {"a@example.com", "b@example.com"}


def test_what_cannot_be_decoded_is_parked_and_acknowledged(system: System) -> None:
    bodies = [b"\xff no JSON", *messages_of("a@example.com"), b'{"schema":1}']
    queue = system.queue(*bodies)
    system.consumer.run()
    assert queue.acknowledged == bodies
    assert system.stored() == {"a@example.com"}
    with system.engine.connect() as connection:
        parked = {
            bytes(row.payload): (row.reason, row.attempts)
            for row in connection.execute(select(quarantined_leads))
        }
    assert parked == {bodies[0]: ("undecodable_message", 1), bodies[2]: ("undecodable_message", 1)}


def test_a_message_of_a_newer_version_stops_the_consumer_and_stays(system: System) -> None:
    newer = orjson.dumps({"schema": 2, "anything": "else"})
    good, later = messages_of("a@example.com", "b@example.com")
    queue = system.queue(good, newer, later)
    with pytest.raises(NewerSchema, match="schema version 2"):
        system.consumer.run()
    assert newer not in queue.acknowledged
    assert not queue.is_open
    assert queue.waiting[0].body == later
    with system.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(quarantined_leads)) == 0


def test_a_stop_finishes_what_was_taken_and_takes_no_more(system: System) -> None:
    queue = system.queue(*[message(make_batch([make_lead() for _ in range(WRITE_LEADS)])) for _ in range(3)])
    system.writer.before_write = system.consumer.stop
    system.consumer.run()
    assert len(queue.acknowledged) == 1
    assert len(queue.waiting) == 2
    assert len(system.stored()) == WRITE_LEADS
    assert not queue.is_open


def test_a_stop_while_the_database_is_gone_leaves_the_messages_to_the_next(system: System) -> None:
    queue = system.queue(*messages_of("a@example.com"))
    system.writer.before_write = Failing(GONE, 100, system.consumer.stop)
    system.consumer.run()
    assert queue.acknowledged == []
    assert not queue.is_open
    assert system.stored() == set()


def test_a_stop_while_it_waits_for_the_database_takes_nothing(system: System) -> None:
    queue = system.queue(*messages_of("a@example.com"))
    system.writer.before_ping = Failing(GONE, 1, system.consumer.stop)
    system.consumer.run()
    assert len(queue.waiting) == 1
    assert not queue.is_open


def test_a_stop_while_it_waits_for_the_queue_ends_it(system: System) -> None:
    system.opening = Failing(QueueUnavailable("no connection"), 100, system.consumer.stop)
    system.consumer.run()
    assert len(system.sleeps) <= 1


def test_a_fault_of_ours_ends_the_consumer_with_nothing_acknowledged(system: System) -> None:
    queue = system.queue(*messages_of("a@example.com"))
    system.writer.before_write = Failing(ZeroDivisionError(), times=1)
    with pytest.raises(ZeroDivisionError):
        system.consumer.run()
    assert queue.acknowledged == []
    assert not queue.is_open


def test_a_checkpoint_is_written_and_acknowledged(system: System) -> None:
    producer_id = uuid4()
    bodies = [
        message(make_batch([make_lead()], producer_id=producer_id, sequence=1)),
        message(
            make_batch(
                [], producer_id=producer_id, sequence=0, settled_through=3, settled_leads=1, voids=(2, 3)
            )
        ),
    ]
    queue = system.queue(*bodies)
    system.consumer.run()
    assert queue.acknowledged == bodies
    with system.engine.connect() as connection:
        receipts = {row.sequence: row.void for row in connection.execute(select(lead_batches))}
    assert receipts == {1: False, 2: True, 3: True}


def test_the_log_says_why_it_waits(system: System, caplog: pytest.LogCaptureFixture) -> None:
    system.queue(*messages_of("a@example.com"))
    system.writer.before_write = Failing(GONE, times=1)
    system.opening = Failing(QueueUnavailable("no connection"), times=1)
    with caplog.at_level(logging.WARNING, "leadgate.consumer"):
        system.consumer.run()
    assert [record.getMessage() for record in caplog.records] == [
        "waiting for the queue: no connection",
        "not written yet, trying again: the database is gone",
    ]

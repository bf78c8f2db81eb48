"""What only files can do: have one owner, be left behind, fill up."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import uuid4

import pytest

from shared.queues import NotConfirmed, open_producer
from tests.integration.transports import Ends, SqliteTransport, bodies, queue_process, take, take_all
from tests.waiting import wait_until

SECONDS = 5.0


def files(sqlite: SqliteTransport) -> list[str]:
    return sorted(path.name for path in sqlite.folder.iterdir())


def test_a_second_process_cannot_own_the_file_of_a_producer(sqlite: SqliteTransport, ends: Ends) -> None:
    producer_id = uuid4()
    owner = open_producer(sqlite.settings, producer_id)
    owner.start()

    with queue_process(sqlite, "own", str(producer_id)) as other:
        said, _ = other.communicate(timeout=20)
    owner.publish(b"still mine", SECONDS)
    owner.close()

    assert said == f"the queue file {producer_id}.queue belongs to another process\n"
    assert bodies(take_all(ends.consumer())) == [b"still mine"]


def test_a_new_file_that_a_consumer_is_opening_is_waited_for(sqlite: SqliteTransport) -> None:
    producer_id = uuid4()
    sqlite.folder.mkdir(parents=True)
    producer = open_producer(sqlite.settings, producer_id)
    path = sqlite.folder / f"{producer_id}.queue"
    with closing(sqlite3.connect(path, isolation_level=None)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN IMMEDIATE")
        starting = pool.submit(producer.start)
        with pytest.raises(TimeoutError):
            starting.result(0.3)
        other.execute("ROLLBACK")
        starting.result(10)

    producer.publish(b"message", SECONDS)
    producer.close()


def test_a_file_is_free_again_once_its_process_was_killed(sqlite: SqliteTransport) -> None:
    producer_id = uuid4()
    with queue_process(sqlite, "own", str(producer_id)) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "owner\n"
        second = open_producer(sqlite.settings, producer_id)
        with pytest.raises(NotConfirmed, match="another process"):
            second.start()

    second.start()
    second.publish(b"mine", SECONDS)
    second.close()


def test_files_of_dead_producers_are_drained_and_then_removed(sqlite: SqliteTransport, ends: Ends) -> None:
    for number in range(3):
        producer = ends.producer()
        producer.publish(b"%d" % number, SECONDS)
        producer.close()
    consumer = ends.consumer()
    deliveries = take(consumer, 3)
    assert consumer.take(0.5) is None
    assert len(list(sqlite.folder.glob("*.queue"))) == 3  # not acknowledged yet

    consumer.acknowledge(deliveries)

    assert sorted(bodies(deliveries)) == [b"0", b"1", b"2"]
    wait_until(lambda: consumer.take(0) is None and files(sqlite) == [], "every file is gone")


def test_the_file_of_a_killed_producer_is_drained_and_then_removed(
    sqlite: SqliteTransport, ends: Ends
) -> None:
    with queue_process(sqlite, "publish") as publisher:
        assert publisher.stdout is not None
        publisher.stdout.readline()
    consumer = ends.consumer()
    consumer.acknowledge(take_all(consumer))

    wait_until(lambda: consumer.take(0) is None and files(sqlite) == [], "every file is gone")


def test_the_empty_file_of_a_living_producer_stays_and_works(sqlite: SqliteTransport, ends: Ends) -> None:
    producer, consumer = ends.producer(), ends.consumer()
    for body in (b"first", b"second"):
        producer.publish(body, SECONDS)
        deliveries = take(consumer, 1)
        consumer.acknowledge(deliveries)
        assert bodies(deliveries) == [body]
        assert consumer.take(0.5) is None

    assert len(list(sqlite.folder.glob("*.queue"))) == 1


def test_what_one_consumer_drains_another_gets_once_it_has_closed(
    sqlite: SqliteTransport, ends: Ends
) -> None:
    ends.producer().publish(b"message", SECONDS)
    first, second = ends.consumer(), ends.consumer()
    take(first, 1)
    assert second.take(0.5) is None

    first.close()

    assert bodies(take(second, 1)) == [b"message"]


def test_a_full_disk_is_told_and_leaves_nothing_half_written(sqlite: SqliteTransport, ends: Ends) -> None:
    with queue_process(sqlite, "fill", str(1024 * 1024)) as filler:
        said, _ = filler.communicate(timeout=20)
    confirmed, _, reason = said.partition(" ")

    assert "takes no message" in reason
    (path,) = sqlite.folder.glob("*.queue")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert bodies(take_all(ends.consumer())) == [b"%4096d" % number for number in range(int(confirmed))]


def test_a_producer_publishes_again_once_there_is_room(sqlite: SqliteTransport, ends: Ends) -> None:
    producer = ends.producer()
    producer.publish(b"before", SECONDS)
    (path,) = sqlite.folder.glob("*.queue")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON messages BEGIN SELECT raise(ABORT, 'full'); END"
        )
        with pytest.raises(NotConfirmed, match="full"):
            producer.publish(b"during", SECONDS)
        connection.execute("DROP TRIGGER full")
    producer.publish(b"after", SECONDS)

    assert bodies(take_all(ends.consumer())) == [b"before", b"after"]

"""What a worker leaves of itself when it dies, and how another announces it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from shared.messages import Header
from shared.predecessors import Records, records_folder
from shared.publisher import Publisher
from shared.queues import NotConfirmed
from shared.settings import Settings
from tests.fakes import FakeProducer
from tests.unit.shared.line import a_lead
from tests.waiting import wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the producers of a host keep their records."""
    return tmp_path / "producers"


def files(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.iterdir())


@contextmanager
def worker(folder: Path, producer: FakeProducer, quiet_seconds: float = 30.0) -> Iterator[Publisher]:
    """A publisher in a start of its own."""
    producer_id = uuid4()
    records = Records(folder, producer_id)
    publisher = Publisher(producer, producer_id, quiet_seconds=quiet_seconds, records=records)
    publisher.start()
    yield publisher
    publisher.stop()


def dead(folder: Path, through: int, leads: int, voids: tuple[int, ...] = ()) -> UUID:
    """A producer that ended after that, without a word."""
    producer_id = uuid4()
    records = Records(folder, producer_id)
    records.start()
    records.note(through, leads, voids)
    records.close(is_announced=False)
    return producer_id


def announced(folder: Path, answer: bool = True) -> list[Header]:
    """What a new worker announces in the name of others."""
    headers: list[Header] = []

    def announce(header: Header) -> bool:
        headers.append(header)
        return answer

    Records(folder, uuid4()).announce_dead(announce)
    return headers


def test_a_worker_that_stops_in_peace_leaves_nothing(folder: Path, producer: FakeProducer) -> None:
    with worker(folder, producer) as publisher:
        publisher.accept([a_lead()])
        assert len(files(folder)) == 1

    assert files(folder) == []


def test_what_is_answered_is_in_the_record_of_a_worker_that_cannot_announce_it(
    folder: Path, producer: FakeProducer
) -> None:
    with worker(folder, producer) as publisher:
        publisher.accept([a_lead()] * 3)
        publisher.accept([a_lead()] * 2)
        producer.refuse = "gone"

    (header,) = announced(folder)
    assert header.producer_id == producer.batches()[0].header.producer_id
    assert (header.sequence, header.settled_through, header.settled_leads, header.voids) == (0, 2, 5, ())


def test_what_was_given_up_and_not_announced_is_in_the_record_as_void(
    folder: Path, producer: FakeProducer
) -> None:
    with worker(folder, producer) as publisher:
        publisher.accept([a_lead()])
        producer.refuse = "gone"
        for _ in range(3):
            with pytest.raises(NotConfirmed):
                publisher.accept([a_lead()])

    (header,) = announced(folder)
    assert (header.settled_through, header.settled_leads, header.voids) == (4, 1, (2, 3, 4))


def test_what_was_given_up_and_announced_is_void_no_more(folder: Path, producer: FakeProducer) -> None:
    with worker(folder, producer) as publisher:
        producer.refuse = "gone"
        with pytest.raises(NotConfirmed):
            publisher.accept([a_lead()])
        producer.refuse = None
        publisher.accept([a_lead()])
        producer.refuse = "gone"

    (header,) = announced(folder)
    assert (header.settled_through, header.settled_leads, header.voids) == (2, 1, ())


def left_by_a_kill(folder: Path) -> list[Header]:
    """What would be announced if all workers were killed now."""
    copy = folder.with_name(uuid4().hex)
    shutil.copytree(folder, copy)
    return announced(copy)


def test_what_is_answered_is_in_the_record_by_then(folder: Path, producer: FakeProducer) -> None:
    with worker(folder, producer) as publisher:
        for number in range(1, 20):
            publisher.accept([a_lead()] * 2)
            (header,) = left_by_a_kill(folder)
            assert (header.settled_through, header.settled_leads) == (number, 2 * number)


def test_a_message_on_its_way_is_not_in_the_record(folder: Path, producer: FakeProducer) -> None:
    with worker(folder, producer) as publisher, ThreadPoolExecutor(1) as threads:
        publisher.accept([a_lead()])
        assert producer.publishing.acquire(timeout=10)
        producer.gate.clear()
        answer = threads.submit(publisher.accept, [a_lead()])
        assert producer.publishing.acquire(timeout=10)

        (header,) = left_by_a_kill(folder)

        producer.gate.set()
        answer.result(timeout=10)
    assert (header.settled_through, header.settled_leads, header.voids) == (1, 1, ())


def test_a_new_worker_announces_every_dead_one_first_of_all(folder: Path, producer: FakeProducer) -> None:
    gone = {dead(folder, 3, 30, (3,)), dead(folder, 8, 90)}

    with worker(folder, producer) as publisher:
        publisher.accept([a_lead()])
        headers = [batch.header for batch in producer.batches()]

    assert {header.producer_id for header in headers[:2]} == gone
    assert {(h.sequence, h.settled_through, h.settled_leads, h.voids) for h in headers[:2]} == {
        (0, 3, 30, (3,)),
        (0, 8, 90, ()),
    }
    assert (headers[2].sequence, headers[2].settled_through) == (1, 0)
    assert files(folder) == []


def test_a_worker_announces_one_that_dies_while_it_works(folder: Path, producer: FakeProducer) -> None:
    with worker(folder, producer, quiet_seconds=0.05):
        gone = dead(folder, 1, 1)
        wait_until(lambda: producer.bodies, "it is announced")

    assert producer.batches()[0].header.producer_id == gone


def test_a_record_that_could_not_be_announced_is_announced_later(
    folder: Path, producer: FakeProducer
) -> None:
    dead(folder, 1, 1)
    producer.refuse = "gone"

    with worker(folder, producer, quiet_seconds=0.05):
        assert producer.publishing.acquire(timeout=10)
        producer.refuse = None
        wait_until(lambda: producer.bodies, "it is announced")

    assert files(folder) == []


def test_after_a_refusal_no_other_record_is_tried(folder: Path) -> None:
    dead(folder, 1, 1)
    dead(folder, 2, 2)

    assert len(announced(folder, answer=False)) == 1
    assert len(announced(folder)) == 2


def test_a_living_worker_is_not_announced(folder: Path, producer: FakeProducer) -> None:
    with worker(folder, producer) as publisher:
        publisher.accept([a_lead()])

        assert announced(folder) == []
        assert len(files(folder)) == 1


def test_two_new_workers_at_once_announce_a_dead_one_once(folder: Path) -> None:
    dead(folder, 1, 1)
    seen: list[Header] = []

    def while_another_looks(header: Header) -> bool:
        seen.extend(announced(folder))
        seen.append(header)
        return True

    Records(folder, uuid4()).announce_dead(while_another_looks)

    assert len(seen) == 1
    assert announced(folder) == []


def test_a_worker_that_died_before_its_first_message_is_forgotten_without_a_word(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records = Records(folder, uuid4())
    records.start()
    records.close(is_announced=False)

    assert announced(folder) == []
    assert files(folder) == []
    assert caplog.messages == []


@pytest.mark.parametrize("left", [b"", b"\0" * 63, b"00012 000"])
def test_what_a_power_cut_has_left_of_a_record_is_forgotten(folder: Path, left: bytes) -> None:
    producer_id = dead(folder, 12, 12)
    (folder / f"{producer_id}.settled").write_bytes(left)

    assert announced(folder) == []
    assert files(folder) == []


def test_leads_are_taken_where_no_record_can_be_kept(folder: Path, producer: FakeProducer) -> None:
    folder.write_bytes(b"a file in the place of the folder")

    with worker(folder, producer) as publisher:
        publisher.accept([a_lead()])

    assert [len(batch.leads) for batch in producer.batches()] == [1, 0]


def test_only_producers_of_the_same_queue_and_database_announce_each_other(tmp_path: Path) -> None:
    def of(amqp_url: str = "", database_url: str = "") -> Path:
        return records_folder(Settings(data_dir=tmp_path, amqp_url=amqp_url, database_url=database_url))

    database = "mysql+pymysql://leadgate:{}@db/leads"
    folders = [of(), of("amqp://mq/"), of("amqp://mq/", database), of("amqp://mq/other", database)]
    assert len(set(folders)) == 4
    assert of(database_url=database.format("old")) == of(database_url=database.format("new"))

"""From a queue that loses an accepted message to the operator who is told which one it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from consumer.writer import Writer
from shared.keys import KeyRing
from shared.messages import decode_batch, encode_lead
from shared.predecessors import Records
from shared.publisher import Publisher
from shared.queues import NotConfirmed, Producer, depth_of_queue, open_consumer, open_producer
from tests.factories import NOON, make_lead
from tests.integration.calling import new_app
from tests.integration.reconciled import gaps, reconciled
from tests.integration.transports import Transport, take
from tests.waiting import wait_until


class Mortal:
    """A producer that has nothing more to say once it `is_dead`."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self.durability = producer.durability
        self.start, self.is_ready, self.close = producer.start, producer.is_ready, producer.close
        self.is_dead = False

    def publish(self, body: bytes, timeout: float) -> None:
        if self.is_dead:
            raise NotConfirmed("dead")
        self._producer.publish(body, timeout)


class Line:
    """Publishers at one end of a queue, a writer at the other, who writes when told to."""

    def __init__(self, transport: Transport, engine: Engine, folder: Path) -> None:
        self.transport = transport
        self.engine = engine
        self._folder = folder

    @contextlib.contextmanager
    def publisher(self) -> Iterator[Publisher]:
        """A start of the ingest service, which leaves without a word."""
        producer_id = uuid4()
        producer = Mortal(open_producer(self.transport.settings, producer_id))
        publisher = Publisher(producer, producer_id, records=Records(self._folder, producer_id))
        publisher.start()
        wait_until(publisher.is_ready, "the publisher is ready")
        yield publisher
        producer.is_dead = True
        publisher.stop()

    def write_one(self) -> None:
        """The next message in the queue is written, at noon."""
        with contextlib.closing(open_consumer(self.transport.settings)) as queue:
            (delivery,) = take(queue, 1)
            Writer(self.engine, lambda: NOON).write([(decode_batch(delivery.body), delivery.attempts)])
            queue.acknowledge([delivery])


@pytest.fixture
def line(transport: Transport, sqlite_engine: Engine, tmp_path: Path) -> Line:
    return Line(transport, sqlite_engine, tmp_path / "producers")


def accept(publisher: Publisher, leads: int) -> None:
    publisher.accept([encode_lead(make_lead()) for _ in range(leads)])


def test_messages_that_were_removed_from_the_queue_are_missing_by_number(
    line: Line, transport: Transport
) -> None:
    with line.publisher() as publisher:
        accept(publisher, 3)
        line.write_one()
        accept(publisher, 2)
        accept(publisher, 5)
        transport.purge()
        accept(publisher, 1)
        line.write_one()
    depth = partial(depth_of_queue, transport.settings)

    early, late = (reconciled(line.engine, seconds=seconds, depth=depth) for seconds in (59, 60))

    assert (early["missing"], early["pending"]) == (0, 2)
    assert (late["missing"], late["pending"], late["inconsistent"]) == (2, 0, 0)
    (item,) = late["items"]
    assert (gaps(item), item["accepted"]["leads"], item["settled"]["leads"]) == ([(2, 3)], 11, 4)


def test_a_message_that_nothing_came_after_is_missing_once_the_next_worker_has_announced_it(
    line: Line, transport: Transport, keys: KeyRing
) -> None:
    with line.publisher() as publisher:
        accept(publisher, 3)
        line.write_one()
        accept(publisher, 2)
        transport.purge()
    with line.publisher():
        wait_until(transport.waiting, "the checkpoint is published")
    line.write_one()
    settings = transport.settings
    app = new_app(
        "admin",
        line.engine,
        keys,
        now=lambda: NOON + timedelta(minutes=2),
        data_dir=settings.data_dir,
        amqp_url=settings.amqp_url,
    )

    result = app.test_cli_runner(env={"COLUMNS": "200"}).invoke(args=["reconcile"])

    assert result.exit_code == 1, result.output
    (item,) = reconciled(line.engine)["items"]
    assert (item["missing"], gaps(item), item["settledLeads"]) == (1, [(2, 2)], 5)
    assert str(item["producerId"]) in result.output

"""The two transports a queue can have, with what a test does to them from outside."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pika

from shared.queues import API_LOGS, LEADS, Consumer, Delivery, Producer, open_consumer, open_producer
from shared.settings import Settings
from tests.proxy import Proxy
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
AMQP_PORT = 5672


class Transport(Protocol):
    """An empty leads queue. What it opens is closed by the fixture `transport`."""

    settings: Settings
    environment: dict[str, str]  # what makes another process use this queue

    def waiting(self) -> int:
        """How many messages are durable in the queue, asked of it by somebody else."""

    def purge(self) -> None:
        """Somebody removes every message that waits."""

    def bytes_read_ahead(self) -> int:
        """How much has left the queue for its consumers."""

    def outage(self) -> contextlib.AbstractContextManager[None]:
        """For as long as it lasts, the queue can neither be written nor read."""

    def deafness(self) -> contextlib.AbstractContextManager[None]:
        """For as long as it lasts, acknowledgements do not arrive, and they will not later either."""


class SqliteTransport:
    def __init__(self, data_dir: Path) -> None:
        self.settings = Settings(data_dir=data_dir)
        self.environment = {"DATA_DIR": str(data_dir), "AMQP_URL": ""}
        self.folder = self.settings.queues_path / LEADS

    def waiting(self) -> int:
        return sum(self._ask("SELECT count(*) FROM messages"))

    def purge(self) -> None:
        for path in self.folder.glob("*.queue"):
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("DELETE FROM messages")

    def bytes_read_ahead(self) -> int:
        return sum(self._ask("SELECT coalesce(sum(length(body)), 0) FROM messages WHERE attempts > 0"))

    def _ask(self, query: str) -> list[int]:
        answers = []
        for path in self.folder.glob("*.queue"):
            with contextlib.closing(sqlite3.connect(path)) as connection:
                answers += connection.execute(query).fetchone()
        return answers

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Somebody else holds every file."""
        with contextlib.ExitStack() as holders:
            for path in self.folder.glob("*.queue"):
                holder = holders.enter_context(
                    contextlib.closing(sqlite3.connect(path, isolation_level=None))
                )
                holder.execute("BEGIN EXCLUSIVE")
            yield

    def deafness(self) -> contextlib.AbstractContextManager[None]:
        return self.outage()


class RabbitTransport:
    """By way of a `proxy`, for tests that take the broker away."""

    def __init__(self, url: str, proxy: Proxy) -> None:
        self.url = url
        self.proxy = proxy
        self.settings = Settings(amqp_url=proxy.instead_of(url))
        self.environment = {"AMQP_URL": self.settings.amqp_url}
        self.delete()

    def past_the_proxy(self) -> Settings:
        """For those who are to reach the broker whatever becomes of the proxy."""
        return Settings(amqp_url=self.url)

    def delete(self) -> None:
        """Leaves no queue in the virtual host."""
        with self.channel() as channel:
            channel.queue_delete(API_LOGS)
            channel.queue_delete(LEADS)
            channel.queue_delete(f"{LEADS}.dead")

    def waiting(self, queue: str = LEADS) -> int:
        with self.channel() as channel:
            count: int = channel.queue_declare(queue, passive=True).method.message_count
        return count

    def purge(self) -> None:
        with self.channel() as channel:
            channel.queue_purge(LEADS)

    def bytes_read_ahead(self) -> int:
        return self.proxy.bytes_to_client

    @contextlib.contextmanager
    def channel(self) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
        """A channel to the broker itself, past the proxy."""
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        try:
            yield connection.channel()
        finally:
            connection.close()

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """The broker cannot be reached."""
        self.proxy.cut()
        yield
        self.proxy.restore()

    @contextlib.contextmanager
    def deafness(self) -> Iterator[None]:
        self.proxy.stall()
        yield
        self.proxy.cut()  # with it goes what was held up
        self.proxy.restore()


class Ends:
    """Opens both ends of a queue, and closes them all in the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: list[Producer | Consumer] = []

    def producer(self) -> Producer:
        producer = open_producer(self._settings, uuid4())
        self._open.append(producer)
        producer.start()
        return producer

    def ready_producer(self) -> Producer:
        producer = self.producer()
        wait_until(producer.is_ready, "the producer is connected")
        return producer

    def consumer(self) -> Consumer:
        consumer = open_consumer(self._settings)
        self._open.append(consumer)
        return consumer

    def close(self) -> None:
        for end in self._open:
            end.close()


def take(consumer: Consumer, number: int) -> list[Delivery]:
    """The next `number` messages."""
    deliveries: list[Delivery] = []
    while len(deliveries) < number:
        delivery = consumer.take(10.0)
        assert delivery is not None, f"{len(deliveries)} messages came, not {number}"
        deliveries.append(delivery)
    return deliveries


def take_all(consumer: Consumer) -> list[Delivery]:
    """Every message that is there; waits for the first, and half a second for each other one."""
    deliveries = take(consumer, 1)
    while (delivery := consumer.take(0.5)) is not None:
        deliveries.append(delivery)
    return deliveries


def bodies(deliveries: list[Delivery]) -> list[bytes]:
    return [delivery.body for delivery in deliveries]


@contextlib.contextmanager
def queue_process(transport: Transport, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`queue_process.py` with these arguments as a process of its own, killed with -9 in the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.queue_process", *arguments],
        cwd=ROOT,
        env=transport.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()

"""The queue port: how a message gets from a producer to a consumer, whichever transport carries it.

`rabbitmq` is production, `sqlite` the embedded queue. tests/integration/test_queues.py holds both to the
same behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID, uuid4

from shared.offload import Offload, run_here
from shared.settings import Settings

LEADS = "leads"
DEPTH_SECONDS = 2.0
API_LOGS = "api-logs"  # a queue of their own, so that logs never delay leads
API_LOGS_PREFETCH = 20  # messages of up to 1 MiB
API_LOGS_POLL_SECONDS = 0.1
API_LOGS_FILE_BYTES = 64 * 1024 * 1024


class NotConfirmed(Exception):
    """Answer 503: the queue did not confirm the message in time, or refused it; says why.

    The message may be in the queue all the same.
    """


class QueueUnavailable(Exception):
    """Back off and open the queue again: the connection is gone; says why.

    What was not acknowledged comes again.
    """


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message taken from the queue, ours until it is acknowledged, put back, or the consumer closes.

    `attempts` counts the deliveries before this one, as far as the transport knows them. `tag` is the
    transport's own.
    """

    body: bytes
    attempts: int
    tag: object


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages wait in the queue, and how many lie where those go that no consumer could take.

    Whether a message that a consumer holds still counts as waiting depends on the transport.
    """

    waiting: int
    dead: int


class Producer(Protocol):
    """The sending end, for one thread at a time."""

    durability: str  # what a confirmed message rests on: broker, embedded

    def start(self) -> None:
        """Begins to connect; to be called once, in the process that publishes."""

    def publish(self, body: bytes, timeout: float) -> None:
        """Returns once the message is durable. Raises NotConfirmed after `timeout` seconds at the latest."""

    def is_ready(self) -> bool:
        """Whether a message could be made durable now."""

    def close(self) -> None:
        """Gives up the connection; nothing can be published any more."""


class Consumer(Protocol):
    """The receiving end, for one thread. Every call raises QueueUnavailable when the connection is gone."""

    def take(self, wait: float) -> Delivery | None:
        """The next message, or None if none has come within `wait` seconds."""

    def acknowledge(self, deliveries: list[Delivery]) -> None:
        """Removes the messages from the queue."""

    def put_back(self, deliveries: list[Delivery]) -> None:
        """Gives the messages back; another take, here or elsewhere, gets them again."""

    def pause(self, seconds: float) -> None:
        """Waits, and keeps the connection alive meanwhile."""

    def close(self) -> None:
        """Gives back what was not acknowledged."""


def open_producer(settings: Settings, producer_id: UUID, offload: Offload = run_here) -> Producer:
    """The producer for the leads queue that `settings` ask for, not yet started."""
    if settings.amqp_url:
        from shared.queues.rabbitmq import RabbitProducer

        return RabbitProducer(settings.amqp_url, LEADS)
    from shared.queues.sqlite import SqliteProducer

    return SqliteProducer(settings.queues_path / LEADS, producer_id, offload)


def open_consumer(settings: Settings) -> Consumer:
    """A consumer of the leads queue that `settings` ask for.

    Raises QueueUnavailable if it cannot be opened.
    """
    if settings.amqp_url:
        from shared.queues.rabbitmq import RabbitConsumer

        return RabbitConsumer(settings.amqp_url, LEADS)
    from shared.queues.sqlite import SqliteConsumer

    return SqliteConsumer(settings.queues_path / LEADS)


def depth_of_queue(settings: Settings, offload: Offload = run_here) -> Depth:
    """How full the leads queue is that `settings` ask for.

    Raises QueueUnavailable if that cannot be learned, after about DEPTH_SECONDS at the latest.
    """
    if settings.amqp_url:
        from shared.queues.rabbitmq_depth import rabbit_depth

        return rabbit_depth(settings.amqp_url, LEADS, DEPTH_SECONDS)
    from shared.queues.sqlite_depth import sqlite_depth

    return offload(sqlite_depth, settings.queues_path / LEADS, DEPTH_SECONDS)


def open_log_producer(settings: Settings, offload: Offload = run_here) -> Producer:
    """The producer for the queue of API logs, not yet started. That queue is bounded, and not fsynced."""
    if settings.amqp_url:
        from shared.queues.rabbitmq import RabbitProducer

        return RabbitProducer(settings.amqp_url, API_LOGS)
    from shared.queues.sqlite import SqliteProducer

    return SqliteProducer(settings.queues_path / API_LOGS, uuid4(), offload, max_bytes=API_LOGS_FILE_BYTES)


def open_log_consumer(settings: Settings) -> Consumer:
    """A consumer of the queue of API logs. Raises QueueUnavailable if it cannot be opened."""
    if settings.amqp_url:
        from shared.queues.rabbitmq import RabbitConsumer

        return RabbitConsumer(settings.amqp_url, API_LOGS, prefetch=API_LOGS_PREFETCH)
    from shared.queues.sqlite import SqliteConsumer

    return SqliteConsumer(settings.queues_path / API_LOGS, poll_seconds=API_LOGS_POLL_SECONDS)

"""How full the RabbitMQ queues are: asked over a connection of its own, and given up soon."""

from __future__ import annotations

import contextlib
import threading

import pika
import pika.exceptions

from shared.queues import Depth, QueueUnavailable
from shared.queues.rabbitmq_connection import parameters, translated

NO_SUCH_QUEUE = 404


def rabbit_depth(url: str, queue: str, seconds: float) -> Depth:
    """The messages that are ready in `queue` and among its dead, by an answer of `seconds` at most.

    RabbitMQ does not tell here what consumers hold unacknowledged. Raises QueueUnavailable.
    """
    answers: list[Depth | QueueUnavailable] = []

    def ask() -> None:
        try:
            answers.append(_ask(url, queue))
        except QueueUnavailable as error:
            answers.append(error)

    # A broker that hangs keeps pika waiting until a heartbeat is missed, but that thread and not us.
    thread = threading.Thread(target=ask, name="queue depth", daemon=True)
    thread.start()
    thread.join(seconds)
    if not answers:
        raise QueueUnavailable(f"RabbitMQ has not answered within {seconds:g} s")
    if isinstance(answers[0], QueueUnavailable):
        raise answers[0]
    return answers[0]


def _ask(url: str, queue: str) -> Depth:
    wanted = parameters(url)
    wanted.heartbeat = 2
    with translated():
        connection = pika.BlockingConnection(wanted)
        try:
            return Depth(_ready(connection, queue), _ready(connection, f"{queue}.dead"))
        finally:
            with contextlib.suppress(pika.exceptions.AMQPError):
                connection.close()


def _ready(connection: pika.BlockingConnection, queue: str) -> int:
    """The messages in one queue; none in a queue that nobody has declared."""
    try:
        declared = connection.channel().queue_declare(queue, passive=True)
    except pika.exceptions.ChannelClosedByBroker as error:
        if error.reply_code == NO_SUCH_QUEUE:
            return 0
        raise
    return int(declared.method.message_count)

"""RabbitMQ: durable quorum queues, persistent and mandatory messages, publisher confirms.

Of pika knows this file, and rabbitmq_connection.py beside it; what leaves them are the port's own exceptions.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import pika
import pika.channel
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel
from pika.adapters.select_connection import IOLoop

from shared.queues import Delivery, NotConfirmed, QueueUnavailable
from shared.queues.rabbitmq_connection import (
    CONNECT_SECONDS,
    HEARTBEAT_SECONDS,
    parameters,
    topology,
    translated,
)

log = logging.getLogger("leadgate.rabbitmq")

RECONNECT_SECONDS = (0.1, 2.0)  # first and longest wait
PREFETCH_MESSAGES = 1000
BUFFER_BYTES = 4 * 1024 * 1024

_PERSISTENT = pika.BasicProperties(delivery_mode=2, content_type="application/json")


class _Publish:
    """One message on its way to its confirm."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.done = threading.Event()
        self.failure: str | None = None
        self.sent_on: pika.channel.Channel | None = None
        self.delivery_tag = 0  # its number on that channel; 0 before it is sent

    def fail(self, why: str) -> None:
        self.failure = why
        self.done.set()


class RabbitProducer:
    """Publishes one message at a time through a connection that its own I/O loop keeps open.

    The loop runs in a thread, which gevent makes a greenlet. A message whose connection breaks before its
    confirm is published again on the next one, as long as its caller waits: its receipt makes the two one.
    """

    durability = "broker"

    def __init__(self, url: str, queue: str) -> None:
        self._url = url
        self._queue = queue
        self._loop: IOLoop | None = None
        self._connection: pika.SelectConnection | None = None
        self._channel: pika.channel.Channel | None = None
        self._current: _Publish | None = None
        self._delivery_tag = 0  # of the message that was sent last
        self._trouble = "not connected yet"
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rabbitmq", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def publish(self, body: bytes, timeout: float) -> None:
        message = _Publish(body)
        self._current = message
        self._in_loop(self._send_current)
        try:
            if not message.done.wait(timeout):
                raise NotConfirmed(f"RabbitMQ has not confirmed within {timeout:.1f} s ({self._trouble})")
            if message.failure is not None:
                raise NotConfirmed(message.failure)
        finally:
            self._current = None

    def is_ready(self) -> bool:
        return self._channel is not None and not self._trouble

    def close(self) -> None:
        self._closing.set()
        self._in_loop(self._close_connection)
        if self._thread.is_alive():
            self._thread.join(timeout=CONNECT_SECONDS)

    # --- below: only inside the I/O loop's thread -----------------------------------------------------

    def _in_loop(self, callback: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None:
            loop.add_callback_threadsafe(callback)

    def _run(self) -> None:
        wait = RECONNECT_SECONDS[0]
        while not self._closing.is_set():
            connected_at = time.monotonic()
            try:
                self._run_one_connection()
            except Exception as error:
                self._trouble = f"{type(error).__name__}: {error}"
            self._channel = None
            if self._closing.is_set():
                break
            log.warning("no connection to RabbitMQ: %s", self._trouble)
            if time.monotonic() - connected_at > 10:
                wait = RECONNECT_SECONDS[0]
            self._closing.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
            wait = min(wait * 2, RECONNECT_SECONDS[1])

    def _run_one_connection(self) -> None:
        loop = IOLoop()
        try:
            self._connection = pika.SelectConnection(
                parameters(self._url),
                on_open_callback=lambda connection: connection.channel(
                    on_open_callback=self._on_channel_open
                ),
                on_open_error_callback=self._on_closed,
                on_close_callback=self._on_closed,
                custom_ioloop=loop,
            )
            self._connection.add_on_connection_blocked_callback(self._on_blocked)
            self._connection.add_on_connection_unblocked_callback(self._on_unblocked)
            self._loop = loop
            if self._closing.is_set():  # `close` was too early to find the loop
                self._close_connection()
            loop.start()
        finally:
            self._loop = None
            loop.close()

    def _on_channel_open(self, channel: pika.channel.Channel) -> None:
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_return_callback(self._on_returned)
        for declaration in topology(self._queue):
            channel.queue_declare(**declaration)
        channel.confirm_delivery(self._on_confirm, callback=lambda _: self._on_ready(channel))

    def _on_ready(self, channel: pika.channel.Channel) -> None:
        self._channel = channel
        self._trouble = ""
        self._delivery_tag = 0
        log.info("publishing to the RabbitMQ queue %s", self._queue)
        self._send_current()

    def _send_current(self) -> None:
        message, channel = self._current, self._channel
        if message is None or channel is None or not channel.is_open or message.sent_on is channel:
            return
        message.sent_on = channel
        channel.basic_publish("", self._queue, message.body, _PERSISTENT, mandatory=True)
        self._delivery_tag += 1
        message.delivery_tag = self._delivery_tag

    def _on_confirm(self, frame: Any) -> None:
        message, confirm = self._current, frame.method
        if message is None or not message.delivery_tag or confirm.delivery_tag < message.delivery_tag:
            return  # of a message whose caller has given up
        if isinstance(confirm, pika.spec.Basic.Ack):
            message.done.set()
        else:
            message.fail("RabbitMQ refused the message")

    def _on_returned(self, channel: pika.channel.Channel, *_: Any) -> None:
        if self._current is not None:
            self._current.fail(f"RabbitMQ has no queue {self._queue}")
        if channel.is_open:
            channel.close(320, "the queue is gone; declaring it anew")

    def _on_blocked(self, _: Any, frame: Any) -> None:
        self._trouble = f"RabbitMQ takes no messages now: {frame.method.reason}"
        log.warning(self._trouble)

    def _on_unblocked(self, *_: Any) -> None:
        self._trouble = ""

    def _on_channel_closed(self, _: pika.channel.Channel, reason: Exception) -> None:
        self._channel = None
        self._trouble = str(reason)
        if self._connection is not None and self._connection.is_open:
            self._connection.close()

    def _on_closed(self, _: Any, reason: Any) -> None:
        self._channel = None
        if not isinstance(reason, pika.exceptions.ConnectionClosedByClient):  # else we have said why
            self._trouble = str(reason) or type(reason).__name__
        if self._loop is not None:
            self._loop.stop()

    def _close_connection(self) -> None:
        connection = self._connection
        if connection is not None and not connection.is_closing and not connection.is_closed:
            connection.close()  # one that is still being opened too


class RabbitConsumer:
    """Takes messages as they come, up to `prefetch` unacknowledged and about BUFFER_BYTES unread."""

    def __init__(self, url: str, queue: str, prefetch: int = PREFETCH_MESSAGES) -> None:
        self._ready: deque[Delivery] = deque()
        self._outstanding: deque[int] = deque()  # delivery tags handed out and not yet settled, in order
        with translated():
            self._connection = pika.BlockingConnection(parameters(url))
            try:
                self._channel = self._consume(queue, prefetch)
            except BaseException:
                self.close()
                raise

    def _consume(self, queue: str, prefetch: int) -> BlockingChannel:
        channel = self._connection.channel()
        for declaration in topology(queue):
            channel.queue_declare(**declaration)
        channel.basic_qos(prefetch_count=prefetch)
        channel.basic_consume(queue, self._on_message)
        return channel

    def _on_message(self, _: Any, method: Any, properties: Any, body: bytes) -> None:
        attempts = (properties.headers or {}).get("x-delivery-count", int(method.redelivered))
        self._ready.append(Delivery(body, attempts, method.delivery_tag))

    def take(self, wait: float) -> Delivery | None:
        if not self._ready:
            with translated():
                self._connection.process_data_events(wait)
            self._check_consuming()
        if not self._ready:
            return None
        delivery = self._ready.popleft()
        self._outstanding.append(_tag(delivery))
        return delivery

    def acknowledge(self, deliveries: list[Delivery]) -> None:
        tags = sorted(map(_tag, deliveries))
        with translated():
            if tags == [*self._outstanding][: len(tags)]:
                self._channel.basic_ack(tags[-1], multiple=True)
            else:
                for tag in tags:
                    self._channel.basic_ack(tag)
            self._settled(tags)
            self._connection.process_data_events(0)

    def _check_consuming(self) -> None:
        """The broker may end a consumer and leave the connection open: no message would come any more."""
        if not self._channel.is_open or not self._channel.consumer_tags:
            raise QueueUnavailable(
                "RabbitMQ has ended the consumer: it deleted the queue or closed the channel"
            )

    def put_back(self, deliveries: list[Delivery]) -> None:
        tags = [_tag(delivery) for delivery in deliveries]
        with translated():
            for tag in tags:
                self._channel.basic_nack(tag, requeue=True)
        self._settled(tags)

    def _settled(self, tags: list[int]) -> None:
        settled = set(tags)
        self._outstanding = deque(tag for tag in self._outstanding if tag not in settled)

    def pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with translated():
            while (left := until - time.monotonic()) > 0:
                if sum(len(delivery.body) for delivery in self._ready) < BUFFER_BYTES:
                    self._connection.process_data_events(left)
                else:
                    # Enough is here: now and then a look at the connection, for its heartbeats, is all.
                    time.sleep(min(left, HEARTBEAT_SECONDS / 4))
                    self._connection.process_data_events(0)

    def close(self) -> None:
        try:
            self._connection.close()
        except (pika.exceptions.AMQPError, OSError):
            log.debug("closing a connection that was gone already", exc_info=True)


def _tag(delivery: Delivery) -> int:
    assert isinstance(delivery.tag, int)  # noqa: S101 - a delivery of another transport is a bug of ours
    return delivery.tag

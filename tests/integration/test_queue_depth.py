"""How full a queue is said to be, on each transport."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from shared.queues import LEADS, Depth, QueueUnavailable, depth_of_queue
from shared.settings import Settings
from tests.integration.transports import Ends, RabbitTransport, Transport, take
from tests.waiting import wait_until

SECONDS = 5.0


def test_nothing_lies_in_a_queue_that_nobody_has_made(transport: Transport) -> None:
    assert depth_of_queue(transport.settings) == Depth(0, 0)


def test_every_message_that_waits_is_counted(transport: Transport, ends: Ends) -> None:
    for producer in (ends.ready_producer(), ends.ready_producer()):
        for _ in range(3):
            producer.publish(b"message", SECONDS)

    assert depth_of_queue(transport.settings) == Depth(6, 0)


def test_what_was_acknowledged_does_not_count(transport: Transport, ends: Ends) -> None:
    producer = ends.producer()
    for _ in range(3):
        producer.publish(b"message", SECONDS)
    consumer = ends.consumer()
    deliveries = take(consumer, 3)

    consumer.acknowledge(deliveries[:2])
    consumer.close()

    wait_until(lambda: depth_of_queue(transport.settings).waiting == 1, "one is left")


def test_asking_leaves_messages_and_files_alone(transport: Transport, ends: Ends) -> None:
    producer = ends.producer()
    producer.publish(b"message", SECONDS)
    for _ in range(3):
        depth_of_queue(transport.settings)

    producer.publish(b"another", SECONDS)

    assert [delivery.attempts for delivery in take(ends.consumer(), 2)] == [0, 0]


def test_what_no_consumer_could_take_is_counted_apart(rabbitmq: RabbitTransport, ends: Ends) -> None:
    ends.ready_producer()
    with rabbitmq.channel() as channel:
        for queue in (LEADS, f"{LEADS}.dead", f"{LEADS}.dead"):
            channel.basic_publish("", queue, b"message")

    wait_until(lambda: depth_of_queue(rabbitmq.settings) == Depth(1, 2), "all three are there")


def test_a_broker_that_cannot_be_reached_is_told(rabbitmq: RabbitTransport) -> None:
    with rabbitmq.outage(), pytest.raises(QueueUnavailable, match="RabbitMQ"):
        depth_of_queue(rabbitmq.settings)


def test_a_broker_that_hangs_is_waited_for_two_seconds(rabbitmq: RabbitTransport) -> None:
    with rabbitmq.deafness():
        began = time.monotonic()
        with pytest.raises(QueueUnavailable, match="not answered within 2 s"):
            depth_of_queue(rabbitmq.settings)

        assert time.monotonic() - began < 10


def test_a_file_that_is_no_queue_is_told(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    (settings.queues_path / LEADS).mkdir(parents=True)
    (settings.queues_path / LEADS / "broken.queue").write_bytes(b"no database" * 1000)

    with pytest.raises(QueueUnavailable, match="cannot be read"):
        depth_of_queue(settings)

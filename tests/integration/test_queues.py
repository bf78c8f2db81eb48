"""What every queue transport promises (shared/queues/__init__.py), shown on each of them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.queues import NotConfirmed, QueueUnavailable
from tests.integration.transports import Ends, Transport, bodies, queue_process, take, take_all
from tests.waiting import wait_until

SECONDS = 5.0
MIB = 1024 * 1024


def numbered(count: int) -> list[bytes]:
    return [f"message {number}".encode() for number in range(count)]


def publish(ends: Ends, messages: list[bytes]) -> None:
    producer = ends.producer()
    for body in messages:
        producer.publish(body, SECONDS)


def test_a_message_is_taken_with_the_bytes_it_was_published_with(transport: Transport, ends: Ends) -> None:
    body = bytes(range(256)) * 10
    publish(ends, [body])

    (delivery,) = take(ends.consumer(), 1)

    assert delivery.body == body
    assert delivery.attempts == 0


def test_messages_are_taken_in_the_order_they_were_published(transport: Transport, ends: Ends) -> None:
    publish(ends, numbered(200))

    assert bodies(take(ends.consumer(), 200)) == numbered(200)


def test_take_waits_for_a_message(transport: Transport, ends: Ends) -> None:
    consumer, producer = ends.consumer(), ends.ready_producer()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(consumer.take, 30.0)
        with pytest.raises(TimeoutError):
            waiting.result(0.3)
        producer.publish(b"here", SECONDS)
        delivery = waiting.result(10.0)

    assert delivery is not None
    assert delivery.body == b"here"


def test_take_returns_none_when_nothing_comes_in_time(transport: Transport, ends: Ends) -> None:
    consumer = ends.consumer()
    began = time.monotonic()

    assert consumer.take(0.3) is None
    assert 0.3 <= time.monotonic() - began < 5.0


def test_an_acknowledged_message_never_comes_again(transport: Transport, ends: Ends) -> None:
    publish(ends, numbered(5))
    consumer = ends.consumer()
    deliveries = take(consumer, 5)

    consumer.acknowledge(deliveries[:2])
    consumer.acknowledge([deliveries[4], deliveries[3]])
    consumer.close()

    assert bodies(take_all(ends.consumer())) == [b"message 2"]


def test_what_was_not_acknowledged_comes_again_after_close_and_has_been_counted(
    transport: Transport, ends: Ends
) -> None:
    publish(ends, numbered(3))
    for attempts in range(3):
        consumer = ends.consumer()
        deliveries = take(consumer, 3)
        consumer.close()

        assert sorted(bodies(deliveries)) == numbered(3)
        assert [delivery.attempts for delivery in deliveries] == [attempts] * 3


def test_what_a_killed_consumer_held_comes_again(transport: Transport, ends: Ends) -> None:
    publish(ends, numbered(3))
    with queue_process(transport, "take", "2") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"

    deliveries = take(ends.consumer(), 3)

    assert sorted(bodies(deliveries)) == numbered(3)
    assert max(delivery.attempts for delivery in deliveries) == 1


def test_what_is_put_back_comes_again_and_has_been_counted(transport: Transport, ends: Ends) -> None:
    publish(ends, numbered(2))
    consumer = ends.consumer()
    first, second = take(consumer, 2)

    consumer.acknowledge([second])
    for attempts in (1, 2):
        consumer.put_back([first])
        (first,) = take(consumer, 1)
        assert (first.body, first.attempts) == (b"message 0", attempts)
    consumer.acknowledge([first])

    assert consumer.take(0.3) is None


def test_two_consumers_never_hold_the_same_message(transport: Transport, ends: Ends) -> None:
    for sender in range(4):
        publish(ends, [f"{sender}/{number}".encode() for number in range(50)])
    consumers = [ends.consumer(), ends.consumer()]

    held: list[bytes] = []

    def all_are_held() -> bool:
        for consumer in consumers * 20:
            held.extend(delivery.body for delivery in [consumer.take(0)] if delivery is not None)
        return len(held) >= 200

    wait_until(all_are_held, "the two hold all messages")

    assert len(set(held)) == 200
    assert [consumer.take(0.3) for consumer in consumers] == [None, None]


def test_messages_of_producers_that_publish_at_once_all_arrive_each_in_its_order(
    transport: Transport, ends: Ends
) -> None:
    ends.ready_producer()  # RabbitMQ refuses messages to a queue that several declare at the same moment

    def publish_fifty(sender: int) -> None:
        publish(ends, [f"{sender}/{number:02}".encode() for number in range(50)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish_fifty, range(4)))
    taken = bodies(take(ends.consumer(), 200))

    for sender in range(4):
        of_sender = [body for body in taken if body.startswith(b"%d/" % sender)]
        assert of_sender == [f"{sender}/{number:02}".encode() for number in range(50)]


def test_a_message_of_eight_mebibytes_passes(transport: Transport, ends: Ends) -> None:
    body = b"8 bytes " * MIB
    publish(ends, [body])
    consumer = ends.consumer()

    (delivery,) = take(consumer, 1)
    consumer.acknowledge([delivery])

    assert delivery.body == body


def test_a_thousand_messages_can_be_held_at_once(transport: Transport, ends: Ends) -> None:
    publish(ends, numbered(1000))
    consumer = ends.consumer()
    deliveries = take(consumer, 1000)

    consumer.acknowledge(deliveries[:999])
    consumer.close()

    assert bodies(take_all(ends.consumer())) == [b"message 999"]


def test_a_consumer_that_pauses_reads_ahead_a_bounded_number_of_bytes(
    transport: Transport, ends: Ends
) -> None:
    publish(ends, [bytes(MIB)] * 60)
    consumer = ends.consumer()

    take(consumer, 1)
    for _ in range(10):
        consumer.pause(0.1)

    assert transport.bytes_read_ahead() < 30 * MIB


def test_publish_returns_once_the_message_is_in_the_queue(transport: Transport, ends: Ends) -> None:
    producer = ends.producer()
    for number in range(1, 6):
        producer.publish(b"durable", SECONDS)
        assert transport.waiting() == number


def test_a_killed_producer_has_lost_nothing_that_was_confirmed(transport: Transport, ends: Ends) -> None:
    with queue_process(transport, "publish") as publisher:
        assert publisher.stdout is not None
        confirmed = [publisher.stdout.readline() for _ in range(100)]
        publisher.kill()
        confirmed += publisher.stdout.readlines()

    taken = bodies(take_all(ends.consumer()))

    assert "100\n" in confirmed
    assert {line.strip().encode() for line in confirmed if line.endswith("\n")} <= set(taken)
    assert len(taken) == len(set(taken))


def test_a_producer_gives_up_in_time_during_an_outage_and_works_again_after_it(
    transport: Transport, ends: Ends
) -> None:
    producer, consumer = ends.ready_producer(), ends.consumer()
    producer.publish(b"before", SECONDS)

    with transport.outage():
        began = time.monotonic()
        with pytest.raises(NotConfirmed):
            producer.publish(b"during", 0.5)
        assert time.monotonic() - began < 2.5

    producer.publish(b"after", 2 * SECONDS)
    consumer.close()
    taken = bodies(take_all(ends.consumer()))
    assert taken[0] == b"before"
    assert taken[-1] == b"after"
    assert taken.count(b"during") <= 1


def test_a_consumer_says_that_the_queue_is_gone_and_finds_everything_when_opened_again(
    transport: Transport, ends: Ends
) -> None:
    publish(ends, numbered(3))
    consumer = ends.consumer()
    held = take(consumer, 3)

    with transport.outage():
        with pytest.raises(QueueUnavailable):
            consumer.acknowledge(held)
        consumer.close()

    assert sorted(bodies(take(ends.consumer(), 3))) == numbered(3)

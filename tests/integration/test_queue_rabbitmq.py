"""What only RabbitMQ can do to a queue: confirms that come late, deleted queues, other people's queues."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from shared.queues import LEADS, NotConfirmed, QueueUnavailable, open_consumer
from tests.integration.transports import Ends, RabbitTransport, bodies, take, take_all
from tests.waiting import wait_until

SECONDS = 5.0


def test_a_stalled_broker_confirms_nothing_in_time_and_goes_on_afterwards(
    rabbitmq: RabbitTransport, ends: Ends
) -> None:
    producer = ends.ready_producer()
    rabbitmq.proxy.stall()
    began = time.monotonic()

    with pytest.raises(NotConfirmed, match=r"0\.5 s"):
        producer.publish(b"during", 0.5)
    assert time.monotonic() - began < 2.5
    rabbitmq.proxy.restore()
    producer.publish(b"after", SECONDS)

    assert bodies(take_all(ends.consumer()))[-1] == b"after"


def test_a_confirm_that_comes_late_is_not_taken_for_that_of_the_next_message(
    rabbitmq: RabbitTransport, ends: Ends
) -> None:
    producer = ends.ready_producer()
    confirmed = []
    for number in range(200):
        rabbitmq.proxy.stall()
        with pytest.raises(NotConfirmed):
            producer.publish(b"late", 0.003)
        rabbitmq.proxy.restore()
        # The late confirm is under way now: meet it before, while and after the next message is sent.
        time.sleep(number % 15 * 0.0002)
        producer.publish(b"next %d" % number, SECONDS)
        confirmed.append(b"next %d" % number)

    assert set(confirmed) <= set(bodies(take_all(ends.consumer())))


def test_a_message_that_is_under_way_when_the_connection_breaks_is_published_again(
    rabbitmq: RabbitTransport, ends: Ends
) -> None:
    producer = ends.ready_producer()
    rabbitmq.proxy.stall()
    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(producer.publish, b"under way", 2 * SECONDS)
        with pytest.raises(TimeoutError):
            publishing.result(0.2)
        rabbitmq.proxy.cut()
        rabbitmq.proxy.restore()
        publishing.result()

    assert b"under way" in bodies(take_all(ends.consumer()))


def test_a_consumer_gets_what_was_held_up_while_the_broker_was_stalled(
    rabbitmq: RabbitTransport, ends: Ends
) -> None:
    consumer = ends.consumer()
    rabbitmq.proxy.stall()
    with rabbitmq.channel() as channel:
        channel.basic_publish("", LEADS, b"held up")

    assert consumer.take(0.3) is None
    rabbitmq.proxy.restore()

    assert bodies(take(consumer, 1)) == [b"held up"]


def test_a_message_to_a_deleted_queue_is_not_confirmed_and_the_queue_declared_anew(
    rabbitmq: RabbitTransport, ends: Ends
) -> None:
    producer = ends.ready_producer()
    rabbitmq.delete()
    with pytest.raises(NotConfirmed, match="no queue leads"):
        producer.publish(b"lost", SECONDS)
    producer.publish(b"after", SECONDS)

    assert bodies(take_all(ends.consumer())) == [b"after"]


def test_a_consumer_whose_queue_is_deleted_says_so_and_declares_it_when_opened_again(
    rabbitmq: RabbitTransport, ends: Ends
) -> None:
    consumer = ends.consumer()
    rabbitmq.delete()

    with pytest.raises(QueueUnavailable, match="deleted"):
        take(consumer, 1)
    again = ends.consumer()
    ends.producer().publish(b"after", SECONDS)

    assert bodies(take(again, 1)) == [b"after"]


def test_a_consumer_whose_channel_the_broker_has_closed_says_so(
    rabbitmq: RabbitTransport, ends: Ends
) -> None:
    ends.producer().publish(b"once", SECONDS)
    consumer = ends.consumer()
    deliveries = take(consumer, 1)
    consumer.acknowledge(deliveries)

    with contextlib.suppress(QueueUnavailable):
        consumer.acknowledge(deliveries)  # twice: RabbitMQ closes the channel

    with pytest.raises(QueueUnavailable):
        consumer.take(1.0)


@pytest.mark.parametrize("end", ["producer", "consumer"])
def test_either_end_declares_durable_quorum_queues_that_drop_nothing(
    rabbitmq: RabbitTransport, ends: Ends, end: str
) -> None:
    if end == "producer":
        ends.ready_producer()
    else:
        ends.consumer()

    with rabbitmq.channel() as channel:  # it would be closed on a declaration that differs
        channel.queue_declare("leads.dead", durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_declare(
            "leads",
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-delivery-limit": 200,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": "leads.dead",
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )


def test_a_queue_with_other_arguments_is_named_as_the_reason(rabbitmq: RabbitTransport, ends: Ends) -> None:
    with rabbitmq.channel() as channel:
        channel.queue_declare(LEADS, durable=True)
    producer = ends.producer()

    def reason() -> str:
        with pytest.raises(NotConfirmed) as refused:
            producer.publish(b"anything", 0.2)
        return str(refused.value)

    wait_until(lambda: re.search("inequivalent arg .* for queue 'leads'", reason()), "the reason is told")
    with pytest.raises(QueueUnavailable, match="inequivalent arg"):
        ends.consumer()


def test_a_virtual_host_that_is_not_there_is_named_as_the_reason(rabbitmq: RabbitTransport) -> None:
    url = rabbitmq.url.replace(urlsplit(rabbitmq.url).path, "/no-such-host")
    settings = dataclasses.replace(rabbitmq.settings, amqp_url=url)
    ends = Ends(settings)
    producer = ends.producer()

    def reason() -> str:
        with pytest.raises(NotConfirmed) as refused:
            producer.publish(b"anything", 0.2)
        return str(refused.value)

    wait_until(lambda: "no-such-host" in reason(), "the reason is told")
    with pytest.raises(QueueUnavailable, match="no-such-host"):
        open_consumer(settings)
    ends.close()


def test_what_a_full_queue_refuses_is_not_confirmed(rabbitmq: RabbitTransport, ends: Ends) -> None:
    producer = ends.ready_producer()
    virtual_host = urlsplit(rabbitmq.url).path[1:]
    full = ["full", "^leads$", '{"max-length": 3}', "--apply-to", "queues"]
    subprocess.run(["rabbitmqctl", "-q", "set_policy", "-p", virtual_host, *full], check=True)
    confirmed: list[bytes] = []

    def publish_on_and_on() -> None:
        for number in range(100):
            producer.publish(b"%d" % number, SECONDS)
            confirmed.append(b"%d" % number)

    with pytest.raises(NotConfirmed, match="RabbitMQ refused the message"):
        publish_on_and_on()
    subprocess.run(["rabbitmqctl", "-q", "clear_policy", "-p", virtual_host, "full"], check=True)

    assert bodies(take_all(ends.consumer()))[: len(confirmed)] == confirmed


def test_a_message_that_is_given_back_for_ever_ends_among_the_dead(
    rabbitmq: RabbitTransport, ends: Ends
) -> None:
    ends.producer().publish(b"poison", SECONDS)
    consumer = ends.consumer()
    for _ in range(201):
        consumer.put_back(take(consumer, 1))

    assert consumer.take(0.5) is None
    wait_until(lambda: rabbitmq.waiting("leads.dead") == 1, "the message is in leads.dead")

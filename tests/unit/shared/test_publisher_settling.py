"""What messages tell consumers of those before: numbers, voids, what is settled, checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.publisher import Publisher
from shared.queues import NotConfirmed
from tests.fakes import FakeProducer
from tests.unit.shared.line import PRODUCER_ID, Requests, a_lead, refuse
from tests.waiting import wait_until


def test_messages_are_numbered_and_tell_what_is_settled(requests: Requests) -> None:
    for leads in (3, 1, 2):
        requests.publisher.accept([a_lead()] * leads)
    headers = [batch.header for batch in requests.batches()]
    assert {header.producer_id for header in headers} == {PRODUCER_ID}
    assert [header.sequence for header in headers] == [1, 2, 3]
    assert [header.settled_through for header in headers] == [0, 1, 2]
    assert [header.settled_leads for header in headers] == [0, 3, 4]


def test_the_number_of_a_message_that_was_given_up_is_not_used_again(requests: Requests) -> None:
    requests.publisher.accept([a_lead()])
    refuse(requests, times=2)
    requests.publisher.accept([a_lead()])
    assert [batch.header.sequence for batch in requests.batches()] == [1, 4]


def test_a_number_that_was_given_up_is_void_until_a_message_is_confirmed(requests: Requests) -> None:
    requests.publisher.accept([a_lead()])
    refuse(requests, times=2)
    for _ in range(2):
        requests.publisher.accept([a_lead()])
    assert [batch.header.voids for batch in requests.batches()] == [(), (2, 3), ()]


def test_a_message_that_was_given_up_is_settled_without_its_leads(requests: Requests) -> None:
    requests.publisher.accept([a_lead()] * 5)
    refuse(requests, times=1)
    requests.publisher.accept([a_lead()] * 2)
    requests.publisher.accept([a_lead()])
    settled = [(b.header.settled_through, b.header.settled_leads) for b in requests.batches()]
    assert settled == [(0, 0), (2, 5), (3, 7)]


def test_a_stop_publishes_what_waits_and_a_checkpoint(requests: Requests) -> None:
    first, second = requests.hold_one(), requests.send(a_lead(), a_lead())
    with ThreadPoolExecutor(1) as threads:
        stopped = threads.submit(requests.publisher.stop)
        wait_until(lambda: not requests.publisher.is_ready(), "it stops")
        assert not stopped.done()
        requests.producer.gate.set()
        stopped.result(timeout=10)
    first.result(timeout=10)
    second.result(timeout=10)
    assert requests.sizes() == [1, 2, 0]
    checkpoint = requests.batches()[-1].header
    assert (checkpoint.sequence, checkpoint.settled_through, checkpoint.settled_leads) == (0, 2, 3)
    assert not requests.producer.is_open


def test_a_checkpoint_names_what_was_given_up_last(requests: Requests) -> None:
    refuse(requests, times=1)
    requests.publisher.stop()
    checkpoint = requests.batches()[-1].header
    assert (checkpoint.sequence, checkpoint.settled_through, checkpoint.settled_leads) == (0, 1, 0)
    assert checkpoint.voids == (1,)


def test_a_stop_without_a_lead_leaves_nothing(requests: Requests) -> None:
    requests.publisher.stop()
    assert requests.batches() == []


def test_a_checkpoint_that_is_refused_does_not_keep_a_stop(requests: Requests) -> None:
    requests.publisher.accept([a_lead()])
    requests.producer.refuse = "gone"
    requests.publisher.stop()
    assert requests.sizes() == [1]
    assert not requests.producer.is_open


@pytest.fixture
def soon_quiet(producer: FakeProducer) -> Iterator[Publisher]:
    """A publisher that takes hardly a moment without leads for quiet."""
    publisher = Publisher(producer, PRODUCER_ID, quiet_seconds=0.05)
    publisher.start()
    yield publisher
    publisher.stop()


def test_when_it_is_quiet_a_checkpoint_is_sent_once(soon_quiet: Publisher, producer: FakeProducer) -> None:
    soon_quiet.accept([a_lead()] * 3)
    wait_until(lambda: len(producer.bodies) == 2, "a checkpoint is sent")
    header = producer.batches()[1].header
    assert (header.sequence, header.settled_through, header.settled_leads) == (0, 1, 3)
    while producer.publishing.acquire(blocking=False):
        pass
    assert not producer.publishing.acquire(timeout=0.3)
    soon_quiet.accept([a_lead()])
    assert producer.batches()[2].header.sequence == 2


def test_a_checkpoint_that_is_refused_is_sent_later(soon_quiet: Publisher, producer: FakeProducer) -> None:
    producer.refuse = "gone"
    with pytest.raises(NotConfirmed):
        soon_quiet.accept([a_lead()])
    for _ in range(3):  # the lead, and a checkpoint twice
        assert producer.publishing.acquire(timeout=10)
    producer.refuse = None
    wait_until(lambda: producer.bodies, "the checkpoint is sent")
    header = producer.batches()[0].header
    assert (header.sequence, header.settled_through, header.voids) == (0, 1, (1,))

"""How leads become messages: batched by themselves, numbered, and given up in time."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.messages import encode_lead
from shared.publisher import BATCH_BYTES, BATCH_LEADS, CONFIRM_SECONDS, Publisher
from shared.queues import NotConfirmed
from tests.factories import make_lead
from tests.fakes import FakeElapsed, FakeProducer
from tests.unit.shared.line import PRODUCER_ID, Requests, a_lead


def test_a_request_that_waits_for_nobody_is_a_message_of_its_own(requests: Requests) -> None:
    requests.publisher.accept([a_lead()])
    requests.publisher.accept([a_lead(), a_lead()])
    assert requests.sizes() == [1, 2]


def test_what_waits_while_one_message_is_on_its_way_becomes_the_next(requests: Requests) -> None:
    first = requests.hold_one()
    others = [requests.send(a_lead(), a_lead()) for _ in range(5)]
    assert not any(answer.done() for answer in [first, *others])
    requests.producer.gate.set()
    for answer in [first, *others]:
        answer.result(timeout=10)
    assert requests.sizes() == [1, 10]


def test_a_message_is_closed_at_1000_leads_and_no_request_is_split(requests: Requests) -> None:
    requests.hold_one()
    answers = [requests.send(*[a_lead()] * leads) for leads in (400, 600, 1, 999, 1, 1000, 1)]
    requests.producer.gate.set()
    for answer in answers:
        answer.result(timeout=10)
    assert BATCH_LEADS == 1000
    assert requests.sizes() == [1, 1000, 1000, 1, 1000, 1]


def test_a_message_is_closed_at_1_mib_and_no_request_is_split(requests: Requests) -> None:
    half = BATCH_BYTES // 2
    requests.hold_one()
    answers = [
        requests.send(*[a_lead(size)] * leads)
        for leads, size in ((1, half), (1, half), (1, 1000), (2, half), (1, 1000), (5, half))
    ]
    requests.producer.gate.set()
    for answer in answers:
        answer.result(timeout=10)
    assert BATCH_BYTES == 1024 * 1024
    assert requests.sizes() == [1, 2, 1, 2, 1, 5]


def test_leads_keep_their_order(requests: Requests) -> None:
    leads = [make_lead() for _ in range(3)]
    requests.publisher.accept([encode_lead(lead) for lead in leads])
    assert requests.batches()[0].leads == leads


def test_every_lead_of_many_requests_at_once_is_published_once(requests: Requests) -> None:
    leads = [a_lead() for _ in range(2000)]
    with ThreadPoolExecutor(20) as threads:
        list(threads.map(lambda lead: requests.publisher.accept([lead]), leads))
    batches = requests.batches()
    assert [batch.header.sequence for batch in batches] == list(range(1, len(batches) + 1))
    assert sorted(encode_lead(lead) for batch in batches for lead in batch.leads) == sorted(leads)
    assert batches[-1].header.settled_leads == len(leads) - len(batches[-1].leads)


def test_a_refused_message_fails_its_requests_with_the_reason(requests: Requests) -> None:
    requests.producer.refuse = "the disk is full"
    with pytest.raises(NotConfirmed, match="the disk is full"):
        requests.publisher.accept([a_lead()])


def test_a_refused_message_fails_every_request_in_it(requests: Requests) -> None:
    first = requests.hold_one()
    second, third = requests.send(), requests.send()
    requests.producer.refuse = "gone"
    requests.producer.gate.set()
    for answer in (first, second, third):
        with pytest.raises(NotConfirmed):
            answer.result(timeout=10)


def test_a_request_whose_time_passed_in_line_is_not_sent(requests: Requests) -> None:
    assert CONFIRM_SECONDS == 5
    first, late = requests.hold_one(), requests.send()
    requests.elapsed.pass_by(CONFIRM_SECONDS)
    in_time = requests.send()
    requests.producer.gate.set()
    first.result(timeout=10)
    in_time.result(timeout=10)
    with pytest.raises(NotConfirmed, match="too slow"):
        late.result(timeout=10)
    assert requests.sizes() == [1, 1]
    assert requests.batches()[1].header.sequence == 2


def test_a_message_is_given_the_time_that_its_oldest_request_has_left(producer: FakeProducer) -> None:
    timeouts: list[float] = []

    class Slow(FakeProducer):
        def publish(self, body: bytes, timeout: float) -> None:
            timeouts.append(timeout)
            super().publish(body, timeout)

    with ThreadPoolExecutor(5) as threads:
        requests = Requests(Slow(), FakeElapsed(), threads)
        requests.publisher.start()
        requests.hold_one()
        requests.send()
        requests.elapsed.pass_by(3)
        last = requests.send()
        requests.producer.gate.set()
        last.result(timeout=10)
        requests.publisher.stop()
    assert timeouts[:2] == [CONFIRM_SECONDS, CONFIRM_SECONDS - 3]


def test_a_broker_that_does_not_confirm_is_given_up(requests: Requests) -> None:
    class NeverConfirms(FakeProducer):
        def publish(self, body: bytes, timeout: float) -> None:
            super().publish(body, timeout=0.01)

    with ThreadPoolExecutor(1) as threads:
        other = Requests(NeverConfirms(), FakeElapsed(), threads)
        other.publisher.start()
        answer = other.hold_one()
        with pytest.raises(NotConfirmed, match="too slow"):
            answer.result(timeout=10)
        other.publisher.stop()


def test_an_unforeseen_fault_of_the_producer_fails_one_request_and_is_logged(
    requests: Requests, caplog: pytest.LogCaptureFixture
) -> None:
    publish, requests.producer.publish = requests.producer.publish, broken  # type: ignore[method-assign]
    with pytest.raises(NotConfirmed, match="OSError: no space"):
        requests.publisher.accept([a_lead()])
    assert [record for record in caplog.records if record.levelno == logging.ERROR and record.exc_info]
    requests.producer.publish = publish  # type: ignore[method-assign]
    requests.publisher.accept([a_lead()])
    assert [(b.header.sequence, b.header.voids) for b in requests.batches()] == [(2, (1,))]


def broken(body: bytes, timeout: float) -> None:
    raise OSError("no space")


def test_nothing_is_accepted_after_a_stop(requests: Requests) -> None:
    requests.publisher.accept([a_lead()])
    requests.publisher.stop()
    with pytest.raises(NotConfirmed, match="the service is stopping"):
        requests.publisher.accept([a_lead()])
    assert requests.sizes() == [1, 0]


def test_a_request_that_comes_in_while_it_stops_is_refused_too(producer: FakeProducer) -> None:
    def stop_first() -> float:
        publisher.stop()
        return 0.0

    publisher = Publisher(producer, PRODUCER_ID, stop_first)
    publisher.start()
    with pytest.raises(NotConfirmed, match="the service is stopping"):
        publisher.accept([a_lead()])


def test_it_is_ready_while_its_producer_is(requests: Requests) -> None:
    assert requests.publisher.is_ready()
    requests.producer.refuse = "gone"
    assert not requests.publisher.is_ready()
    requests.producer.refuse = None
    requests.publisher.stop()
    assert not requests.publisher.is_ready()

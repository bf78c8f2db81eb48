"""Requests that stand in line at a publisher."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from uuid import uuid4

import pytest

from shared.messages import Batch, encode_lead
from shared.publisher import Publisher
from shared.queues import NotConfirmed
from tests.factories import make_lead
from tests.fakes import FakeElapsed, FakeProducer
from tests.waiting import wait_until

PRODUCER_ID = uuid4()


class Requests:
    """Sends requests to a publisher as web workers do: each waits in a thread of its own."""

    def __init__(self, producer: FakeProducer, elapsed: FakeElapsed, threads: ThreadPoolExecutor) -> None:
        self.producer = producer
        self.elapsed = elapsed
        self.publisher = Publisher(producer, PRODUCER_ID, elapsed)
        self._threads = threads

    def send(self, *leads: bytes) -> Future[None]:
        """A request that is on its way or waits in line once this returns."""
        before = len(self.publisher._waiting)
        answer = self._threads.submit(self.publisher.accept, leads or [a_lead()])
        wait_until(lambda: len(self.publisher._waiting) > before or answer.done(), "the request waits")
        return answer

    def hold_one(self) -> Future[None]:
        """A request whose message is on its way, and stays there until `producer.gate` is set."""
        while self.producer.publishing.acquire(blocking=False):
            pass
        self.producer.gate.clear()
        answer = self._threads.submit(self.publisher.accept, [a_lead()])
        assert self.producer.publishing.acquire(timeout=10)
        return answer

    def sizes(self) -> list[int]:
        """How many leads each message had."""
        return [len(batch.leads) for batch in self.batches()]

    def batches(self) -> list[Batch]:
        return self.producer.batches()


def a_lead(size: int | None = None) -> bytes:
    """An encoded lead, if wanted of that many bytes."""
    encoded = encode_lead(make_lead())
    if size is None:
        return encoded
    padding = "x" * (size - len(encoded) - len(',"padding":""'))
    return encoded[:-1] + f',"padding":"{padding}"}}'.encode()


def refuse(requests: Requests, times: int) -> None:
    """So many requests that are refused."""
    requests.producer.refuse = "gone"
    for _ in range(times):
        with pytest.raises(NotConfirmed):
            requests.publisher.accept([a_lead()])
    requests.producer.refuse = None

"""What the tests of what all processes share have in common."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fakes import FakeElapsed, FakeProducer
from tests.unit.shared.line import Requests


@pytest.fixture
def requests(producer: FakeProducer) -> Iterator[Requests]:
    with ThreadPoolExecutor(20) as threads:
        requests = Requests(producer, FakeElapsed(), threads)
        requests.publisher.start()
        yield requests
        producer.gate.set()
        requests.publisher.stop()

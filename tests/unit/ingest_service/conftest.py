"""What the tests of the ingest service share."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from tests.fakes import FakeElapsed, FakeProducer
from tests.unit.conftest import signed_in_as
from tests.unit.ingest_service.line import Requests


@pytest.fixture
def headers(ingest_app: Flask, partner: int) -> dict[str, str]:
    """The partner's credentials."""
    return signed_in_as(ingest_app, partner)


@pytest.fixture
def requests(producer: FakeProducer) -> Iterator[Requests]:
    with ThreadPoolExecutor(20) as threads:
        requests = Requests(producer, FakeElapsed(), threads)
        requests.publisher.start()
        yield requests
        producer.gate.set()
        requests.publisher.stop()

"""Fixtures of the tests with real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.transports import AMQP_PORT, Ends, RabbitTransport, SqliteTransport, Transport
from tests.proxy import Proxy


@pytest.fixture
def sqlite(tmp_path: Path) -> SqliteTransport:
    """An empty embedded queue."""
    return SqliteTransport(tmp_path)


@pytest.fixture
def rabbitmq(virtual_host_url: str) -> Iterator[RabbitTransport]:
    """A leads queue on RabbitMQ that nobody has declared yet, behind a proxy."""
    with Proxy(virtual_host_url, AMQP_PORT) as proxy:
        yield RabbitTransport(virtual_host_url, proxy)


@pytest.fixture(params=["sqlite", "rabbitmq"])
def transport(request: pytest.FixtureRequest) -> Transport:
    """An empty queue, once on each transport."""
    transport: Transport = request.getfixturevalue(request.param)
    return transport


@pytest.fixture
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """Both ends of the queue the test has asked for."""
    asked_for = next(n for n in ("transport", "sqlite", "rabbitmq") if n in request.fixturenames)
    ends = Ends(request.getfixturevalue(asked_for).settings)
    yield ends
    ends.close()

"""Fixtures of the tests with real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine

from shared.keys import KeyRing
from tests.fakes import FakeProducer
from tests.integration.calling import Caller, Person, add_admin, add_partner, new_app, running
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


@pytest.fixture
def producer() -> FakeProducer:
    """The queue end of the admin service."""
    return FakeProducer()


@pytest.fixture
def app(engine: Engine, keys: KeyRing, producer: FakeProducer) -> Iterator[Flask]:
    """The admin service; files that want it otherwise say so."""
    with running(new_app("admin", engine, keys, producer=producer)) as app:
        yield app


@pytest.fixture
def admin(engine: Engine, app: Flask) -> Caller:
    """Somebody with ROLE_ADMIN who calls it."""
    return add_admin(engine).calls(app)


@pytest.fixture
def partner(engine: Engine) -> Person:
    """A partner without leads."""
    return add_partner(engine)

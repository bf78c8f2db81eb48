"""The two apps as unit tests call them: through Flask's test client, on SQLite, with a producer in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine

import admin_service
import ingest_service
from shared.access import access_of
from shared.identity import ROLE_ADMIN, Identity
from shared.keys import KeyRing
from shared.settings import Settings
from tests.factories import make_user
from tests.fakes import FakeProducer

# How long one example takes says nothing on a machine that others use too.
hypothesis_settings.register_profile("shared machine", deadline=None)
hypothesis_settings.load_profile("shared machine")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def producer() -> FakeProducer:
    return FakeProducer()


@pytest.fixture
def ingest_app(
    settings: Settings, producer: FakeProducer, sqlite_engine: Engine, keys: KeyRing
) -> Iterator[Flask]:
    """The ingest service, which publishes to `producer`."""
    app = ingest_service.create_app(settings, producer=producer, identity=Identity(sqlite_engine), keys=keys)
    publisher = app.extensions["leadgate.publisher"]
    publisher.start()
    yield app
    publisher.stop()


@pytest.fixture
def admin_app(settings: Settings, sqlite_engine: Engine, keys: KeyRing) -> Flask:
    """The admin service."""
    return admin_service.create_app(settings, engine=sqlite_engine, keys=keys)


@pytest.fixture
def ingest(ingest_app: Flask) -> FlaskClient:
    return ingest_app.test_client()


@pytest.fixture
def admin(admin_app: Flask) -> FlaskClient:
    return admin_app.test_client()


@pytest.fixture
def partner(sqlite_engine: Engine) -> int:
    """The id of a user with ROLE_API_CLIENT."""
    return make_user(sqlite_engine, "partner@example.com")


@pytest.fixture
def other_partner(sqlite_engine: Engine) -> int:
    """The id of another one."""
    return make_user(sqlite_engine, "other@example.com")


@pytest.fixture
def administrator(sqlite_engine: Engine) -> int:
    """The id of a user with ROLE_ADMIN."""
    return make_user(sqlite_engine, "admin@example.com", roles=(ROLE_ADMIN,))


def signed_in_as(app: Flask, user_id: int) -> dict[str, str]:
    """The header that signs a user in, with a JWT that `app` has issued."""
    access = access_of(app)
    user = access.identity.user(user_id)
    assert user is not None
    with app.app_context():
        return {"Authorization": f"Bearer {access.token_for(user)}"}

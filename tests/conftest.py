"""Fixtures every kind of test shares, and the line at the end that says what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import request_finished
from sqlalchemy import Engine, delete, insert

from shared.database import open_database, writing
from shared.keys import KeyRing, make_key
from shared.migrations import upgrade
from shared.models import identity_version, metadata
from shared.times import utc_now
from tests.api_guard import ApiGuard
from tests.services import MARIADB, MYSQL, own_database, own_virtual_host

DATABASES = ("sqlite", "mariadb", "mysql")


@pytest.fixture(scope="session")
def keys_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one JWT key."""
    folder = tmp_path_factory.mktemp("jwt-keys")
    make_key(folder, utc_now())
    return folder


@pytest.fixture
def keys(keys_path: Path) -> KeyRing:
    return KeyRing(keys_path)


@pytest.fixture(scope="session")
def api_guard() -> Iterator[ApiGuard]:
    """Sees every answer of our apps in this process."""
    guard = ApiGuard()
    request_finished.connect(guard.see)
    yield guard
    request_finished.disconnect(guard.see)


@pytest.fixture(autouse=True)
def answers_are_as_documented(api_guard: ApiGuard) -> Iterator[None]:
    """Whatever a test is about: no answer is one that the API's document does not know."""
    yield
    faults, api_guard.faults = api_guard.faults, []
    assert faults == []


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A migrated SQLite database; `clean` it before use."""
    url = f"sqlite:///{tmp_path_factory.mktemp('database') / 'leads.sqlite3'}"
    _migrate(url)
    return url


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """A migrated database on MariaDB; `clean` it before use."""
    with own_database(MARIADB) as url:
        _migrate(url)
        yield url


@pytest.fixture(scope="session")
def mysql_url() -> Iterator[str]:
    """A migrated database on a real MySQL; `clean` it before use."""
    with own_database(MYSQL) as url:
        _migrate(url)
        yield url


@pytest.fixture
def sqlite_engine(sqlite_url: str) -> Iterator[Engine]:
    """An empty, migrated SQLite database."""
    yield from _clean_engine(sqlite_url)


@pytest.fixture
def mariadb_engine(mariadb_url: str) -> Iterator[Engine]:
    """An empty, migrated database on MariaDB."""
    yield from _clean_engine(mariadb_url)


@pytest.fixture(params=DATABASES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An empty, migrated database, once on each kind of server."""
    yield from _clean_engine(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(scope="session")
def virtual_host_url() -> Iterator[str]:
    """A virtual host of RabbitMQ of this test process."""
    with own_virtual_host() as url:
        yield url


def _migrate(url: str) -> None:
    engine = open_database(url)
    upgrade(engine)
    engine.dispose()


def _clean_engine(url: str) -> Iterator[Engine]:
    engine = open_database(url)
    with writing(engine).begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))
        connection.execute(insert(identity_version).values(id=1, version=0))
    yield engine
    engine.dispose()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """`ran N, skipped M because …`, with each reason once."""
    stats = terminalreporter.stats
    ran = sum(len(stats.get(outcome, [])) for outcome in ("passed", "failed"))
    skipped = stats.get("skipped", [])
    reasons = sorted({str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped})
    because = f" because {'; '.join(reasons)}" if reasons else ""
    terminalreporter.write_line(f"ran {ran}, skipped {len(skipped)}{because}")

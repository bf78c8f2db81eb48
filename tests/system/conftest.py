"""Systems to test from outside: with the embedded parts, and with MariaDB, RabbitMQ and Redis."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.services import MARIADB, own_database, own_redis, own_virtual_host
from tests.system.running import ROOT, System

# The limit of requests would stand in the way of all tests but its own.
MANY_REQUESTS = {"RATE_LIMIT_PER_MINUTE": "1000000000"}


@pytest.fixture(scope="session", autouse=True)
def made_environment() -> None:
    """`run` would remove and make anew a .venv that does not fit, with these tests running in it."""
    folder = ROOT / ".venv"
    try:
        made_from = json.loads((folder / "made-from.json").read_text())
    except FileNotFoundError:
        made_from = {}
    locks = [ROOT / "requirements.txt", ROOT / "requirements-dev.txt"]
    digests = {lock.name: hashlib.sha256(lock.read_bytes()).hexdigest() for lock in locks}
    if not digests.items() <= made_from.items() or Path(sys.prefix).resolve() != folder:
        pytest.fail("These tests run in the .venv that `python3 deploy/local.py test` makes", pytrace=False)


@contextmanager
def settings_of(kind: str) -> Iterator[dict[str, str]]:
    """The variables for a kind of system; its servers are empty, and gone afterwards."""
    if kind == "embedded":
        yield {}
        return
    with ExitStack() as servers:
        yield {
            "DATABASE_URL": servers.enter_context(own_database(MARIADB)),
            "AMQP_URL": servers.enter_context(own_virtual_host()),
            "REDIS_URL": servers.enter_context(own_redis()),
        }


@contextmanager
def killed(system: System) -> Iterator[System]:
    """The system, which must not have stumbled; what is left of it afterwards is killed."""
    try:
        yield system
        assert "Traceback" not in system.said
    finally:
        system.kill()


@pytest.fixture(
    scope="session",
    params=[
        pytest.param("embedded", marks=pytest.mark.xdist_group("embedded system")),
        pytest.param("servers", marks=pytest.mark.xdist_group("system with servers")),
    ],
)
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running system that tests share: they look for leads of their own, and leave it running."""
    with settings_of(request.param) as settings:
        new = System(tmp_path_factory.mktemp("system"), MANY_REQUESTS | settings)
        with killed(new):
            new.start()
            yield new
            assert new.stop() == 0, new.output
            assert new.processes() == []
            assert list(Path(new.environment["TMPDIR"]).iterdir()) == []


@pytest.fixture(params=["embedded", "servers"])
def kind(request: pytest.FixtureRequest) -> str:
    """What the test's own system is made of."""
    return str(request.param)


@pytest.fixture
def own_system(kind: str, tmp_path: Path) -> Iterator[System]:
    """A system of this test's own, of each kind, not started yet."""
    with settings_of(kind) as settings, killed(System(tmp_path, MANY_REQUESTS | settings)) as new:
        yield new


@pytest.fixture
def embedded_system(tmp_path: Path) -> Iterator[System]:
    """A system of this test's own with the embedded parts, not started yet."""
    with killed(System(tmp_path, MANY_REQUESTS)) as new:
        yield new

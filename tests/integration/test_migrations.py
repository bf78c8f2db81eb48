"""The tables' history, from nothing and back, on every kind of database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, select, text

from shared.database import open_database, writing
from shared.migrations import is_current, upgrade
from shared.models import identity_version, leads, metadata
from shared.times import utc_now
from tests.conftest import DATABASES
from tests.factories import make_batch, make_lead, make_writer
from tests.integration.stored import assert_all_stored_once
from tests.integration.transports import ROOT
from tests.services import MARIADB, MYSQL, own_database

UPGRADE_WHEN_TOLD = """
import sys
from shared.database import open_database
from shared.migrations import upgrade

engine = open_database(sys.argv[1])
print("ready", flush=True)
input()
upgrade(engine)
"""
SERVERS = {"mariadb": MARIADB, "mysql": MYSQL}


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'leads.sqlite3'}"
    else:
        with own_database(SERVERS[request.param]) as url:
            yield url


@pytest.fixture
def empty(empty_url: str) -> Iterator[Engine]:
    """A database without tables."""
    engine = open_database(empty_url)
    yield engine
    engine.dispose()


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def test_an_empty_database_gets_every_table_once_however_often_it_is_upgraded(empty: Engine) -> None:
    assert not is_current(empty)

    upgrade(empty)
    upgrade(empty)

    assert is_current(empty)
    assert tables(empty) == set(metadata.tables)
    with empty.connect() as connection:
        assert connection.execute(select(identity_version)).all() == [(1, 0)]


def test_the_migrated_tables_are_those_of_the_models(empty: Engine) -> None:
    upgrade(empty)

    with empty.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_processes_that_upgrade_at_the_same_moment_all_succeed(empty_url: str, empty: Engine) -> None:
    with ExitStack() as started:
        upgrading = [
            started.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", UPGRADE_WHEN_TOLD, empty_url],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            for _ in range(3)
        ]
        for process in upgrading:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in upgrading:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        ended = [(process.communicate(timeout=60)[0], process.returncode) for process in upgrading]

    assert ended == [("", 0)] * 3
    assert is_current(empty)
    assert tables(empty) == set(metadata.tables)


def test_a_new_file_that_another_process_is_making_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "leads.sqlite3"
    engine = open_database(f"sqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN IMMEDIATE")
        upgrading = pool.submit(upgrade, engine)
        with pytest.raises(TimeoutError):
            upgrading.result(0.3)
        other.execute("ROLLBACK")
        upgrading.result(30)

    assert is_current(engine)
    engine.dispose()


def test_a_database_can_go_back_to_nothing_and_up_again(empty: Engine) -> None:
    upgrade(empty)
    config = Config()
    config.set_main_option("script_location", "shared:migrations")
    config.set_main_option("path_separator", "os")
    with writing(empty).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    assert tables(empty) == set()
    upgrade(empty)
    assert tables(empty) == set(metadata.tables)


@pytest.mark.parametrize("engine", ["mariadb", "mysql"], indirect=True)
def test_leads_have_a_partition_for_each_month_of_a_year_and_one_for_all_beyond(engine: Engine) -> None:
    query = text(
        "SELECT PARTITION_DESCRIPTION FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = DATABASE()"
        " AND TABLE_NAME = 'leads' ORDER BY PARTITION_ORDINAL_POSITION"
    )
    with engine.connect() as connection:
        *bounds, last = connection.scalars(query).all()

    assert last == "MAXVALUE"
    ends = [datetime.fromisoformat(bound.strip("'")) for bound in bounds]
    months = [end.year * 12 + end.month for end in ends]
    assert months == list(range(months[0], months[0] + 12))
    assert {(end.day, end.hour, end.minute) for end in ends} == {(1, 0, 0)}
    now = utc_now()
    assert months[0] - (now.year * 12 + now.month) in (0, 1)  # the month may have changed since


def test_a_lead_is_stored_however_far_from_now_it_was_received(engine: Engine) -> None:
    moments = [datetime(1000, 1, 1, tzinfo=UTC), datetime(1969, 7, 20, tzinfo=UTC), utc_now()]
    moments += [datetime(2199, 12, 31, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]
    batch = make_batch([make_lead(received_at=moment) for moment in moments])

    make_writer(engine).write([(batch, 0)])

    assert_all_stored_once(engine, {lead.id for lead in batch.leads})
    with engine.connect() as connection:
        stored = connection.scalars(select(leads.c.received_at).order_by(leads.c.received_at)).all()
    assert list(stored) == moments

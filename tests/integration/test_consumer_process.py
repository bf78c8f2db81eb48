"""`python -m consumer` as it runs in production: killed, stopped, cut off, fed with rubbish."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Engine, text

from shared.models import quarantined_leads
from tests.factories import make_batch, make_lead, message
from tests.integration.installation import Installation, batches_of, stop
from tests.integration.stored import rows, stored_ids
from tests.integration.transports import Ends, RabbitTransport, SqliteTransport, take_all
from tests.proxy import Proxy
from tests.waiting import wait_until


@pytest.fixture
def embedded(sqlite: SqliteTransport, tmp_path: Path, sqlite_engine: Engine) -> Iterator[Installation]:
    """The embedded queue and SQLite."""
    ends = Ends(sqlite.settings)
    environment = sqlite.environment | {"DATABASE_URL": sqlite_engine.url.render_as_string()}
    yield Installation(sqlite, sqlite_engine, ends.producer(), environment, tmp_path)
    ends.close()


@pytest.fixture
def database_proxy(mariadb_url: str) -> Iterator[Proxy]:
    """The way of the consumer to MariaDB."""
    with Proxy(mariadb_url, 3306) as proxy:
        yield proxy


@pytest.fixture
def servers(
    rabbitmq: RabbitTransport, tmp_path: Path, mariadb_engine: Engine, database_proxy: Proxy
) -> Iterator[Installation]:
    """RabbitMQ and MariaDB, the consumer's ways to them by proxies."""
    url = mariadb_engine.url.render_as_string(hide_password=False)
    ends = Ends(rabbitmq.past_the_proxy())
    environment = rabbitmq.environment | {"DATABASE_URL": database_proxy.instead_of(url)}
    yield Installation(rabbitmq, mariadb_engine, ends.ready_producer(), environment, tmp_path)
    ends.close()


@pytest.fixture(params=["embedded", "servers"])
def installation(request: pytest.FixtureRequest) -> Installation:
    """Once on each kind."""
    installation: Installation = request.getfixturevalue(request.param)
    return installation


def test_killed_again_and_again_it_stores_every_lead_once(installation: Installation) -> None:
    batches = batches_of(5000, size=20)
    installation.publish(*batches)

    kills = 0
    while kills < 3 and (before := installation.stored()) < 4000:
        with installation.consumer() as process:
            wait_until(lambda: installation.stored() > before, "some more are stored")
            process.kill()
        kills += 1

    assert kills >= 2
    installation.assert_ends_with(batches)


def test_killed_between_commit_and_acknowledgement_it_stores_every_lead_once(
    installation: Installation,
) -> None:
    batches = batches_of(80, size=40)
    installation.publish(*batches)
    size = len(message(batches[0]))

    with installation.consumer() as process, ExitStack() as deafness:
        with installation.blocked_writing(batches[0]):
            # So much that the first message is surely there, whatever else was said on the connection.
            wait_until(lambda: installation.transport.bytes_read_ahead() > 1.5 * size, "the first is taken")
            deafness.enter_context(installation.transport.deafness())
        wait_until(lambda: installation.stored() >= 40, "the first is stored")
        process.kill()
        process.wait()

    wait_until(lambda: installation.transport.waiting() == 2, "all is in the queue again")
    installation.assert_ends_with(batches)


def test_two_of_them_share_the_work_and_one_may_be_killed(installation: Installation) -> None:
    batches = batches_of(3000, size=10)
    with installation.consumer() as killed, installation.consumer() as survivor:
        installation.publish(*batches[:150])
        wait_until(lambda: installation.stored() > 0, "some are stored")
        killed.kill()
        installation.publish(*batches[150:])
        wait_until(lambda: installation.stored() == 3000, "every lead is stored")
        assert stop(survivor) == 0

    installation.assert_ends_with(batches)


def test_sigterm_ends_it_with_nothing_lost(installation: Installation) -> None:
    batches = batches_of(3000, size=20)
    installation.publish(*batches)
    with installation.consumer() as process:
        wait_until(lambda: installation.stored() > 0, "some are stored")

        assert stop(process) == 0

    installation.assert_ends_with(batches)


def test_sigterm_ends_it_while_it_waits_for_messages(installation: Installation) -> None:
    with installation.consumer() as process:
        with installation.said("taking leads"):
            pass

        assert stop(process) == 0


def test_sigterm_ends_it_while_the_broker_is_away(servers: Installation) -> None:
    with servers.transport.outage(), servers.consumer() as process:
        with servers.said("waiting for the queue"):
            pass

        assert stop(process) == 0


def test_sigterm_ends_it_while_the_database_is_away(servers: Installation, database_proxy: Proxy) -> None:
    database_proxy.cut()
    with servers.consumer() as process:
        with servers.said("waiting for the database"):
            pass

        assert stop(process) == 0


def test_sigterm_ends_it_in_time_while_neither_broker_nor_database_answers(
    servers: Installation, rabbitmq: RabbitTransport, database_proxy: Proxy
) -> None:
    batches = batches_of(40, size=40)
    with servers.consumer() as process:
        with servers.said("taking leads"):
            pass
        database_proxy.stall()
        servers.publish(*batches)
        rabbitmq.proxy.stall()

        assert stop(process) == 0

    database_proxy.restore()
    rabbitmq.proxy.restore()
    servers.assert_ends_with(batches)


def test_a_second_sigterm_ends_it_at_once_with_nothing_lost(
    servers: Installation, mariadb_engine: Engine
) -> None:
    batches = batches_of(40, size=40)
    servers.publish(*batches)
    with servers.consumer() as process, servers.blocked_writing(batches[0]):
        wait_until(lambda: is_inserting(mariadb_engine, "lead_batches"), "it waits for the database")
        process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.terminate()

        assert process.wait(5) == 1

    servers.assert_ends_with(batches)


def is_inserting(engine: Engine, table: str) -> bool:
    statement = (
        "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE :insert"
    )
    with engine.connect() as connection:
        return bool(connection.scalar(text(statement), {"insert": f"INSERT INTO {table} %"}))


def test_what_is_none_of_ours_is_parked_and_does_not_stop_it(installation: Installation) -> None:
    batches = batches_of(60, size=20)
    foreign = [
        os.urandom(1000),
        b"",
        b"{}",
        b"[1, 2, 3]",
        orjson.dumps({"event": "order.created", "id": 17}),
        orjson.dumps({"schema": 1, "producerId": "nobody", "sequence": "first"}),
        message(make_batch([make_lead()]))[:-100],
        message(make_batch([make_lead()])).replace(b"2026-06-01", b"0000-00-00"),
        message(make_batch([make_lead()])).replace(b'"clientId":1', b'"clientId":-1'),
    ]
    installation.publish(batches[0], *foreign[:4], batches[1], *foreign[4:], batches[2])

    with installation.consumer() as process:
        wait_until(lambda: len(rows(installation.engine, quarantined_leads)) >= len(foreign), "all is parked")
        wait_until(lambda: installation.stored() >= 60, "every lead is stored")
        assert stop(process) == 0

    parked = rows(installation.engine, quarantined_leads)
    assert {bytes(row.payload) for row in parked} == set(foreign)
    assert {(row.reason, row.attempts) for row in parked} == {("undecodable_message", 1)}
    assert set(stored_ids(installation.engine)) == {lead.id for batch in batches for lead in batch.leads}
    assert installation.transport.waiting() == 0


def test_a_message_of_a_newer_version_stops_it_and_stays_in_the_queue(installation: Installation) -> None:
    batches = batches_of(20, size=20)
    newer = orjson.dumps(orjson.loads(message(make_batch([make_lead()]))) | {"schema": 2, "news": True})
    installation.publish(*batches, newer)

    with installation.consumer() as process:
        assert process.wait(15) == 3

    assert "schema version 2" in installation.log()
    ends = Ends(installation.transport.settings)
    left = [delivery.body for delivery in take_all(ends.consumer())]
    ends.close()
    # The batch before it is stored, or it is still there too: it was taken together with the newer one.
    assert left[-1] == newer
    assert left[:-1] in ([], [message(batches[0])])
    assert installation.stored() == (0 if left[:-1] else 20)


def test_a_database_that_is_cut_off_gets_every_lead_once_when_it_is_back(
    servers: Installation, database_proxy: Proxy
) -> None:
    batches = batches_of(1800, size=20)
    with servers.consumer() as process:
        for part in (0, 30, 60):
            servers.publish_and_see_some_stored(*batches[part : part + 15])
            with servers.said("MySQL server"):
                database_proxy.cut()
                servers.publish(*batches[part + 15 : part + 30])
            database_proxy.restore()
        wait_until(lambda: servers.stored() >= 1800, "every lead is stored")
        assert stop(process) == 0

    servers.assert_ends_with(batches)


def test_a_database_that_stalls_gets_every_lead_once_when_it_goes_on(
    servers: Installation, database_proxy: Proxy
) -> None:
    batches = batches_of(600, size=20)
    with servers.consumer() as process:
        servers.publish_and_see_some_stored(*batches[:15])
        database_proxy.stall()
        servers.publish(*batches[15:])
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        database_proxy.restore()
        wait_until(lambda: servers.stored() >= 600, "every lead is stored")
        assert stop(process) == 0

    servers.assert_ends_with(batches)


def test_a_broker_that_is_cut_off_gives_every_lead_once_when_it_is_back(
    servers: Installation, rabbitmq: RabbitTransport
) -> None:
    batches = batches_of(1800, size=20)
    with servers.consumer() as process:
        for part in (0, 30, 60):
            servers.publish_and_see_some_stored(*batches[part : part + 15])
            with servers.said("the queue is gone"), rabbitmq.outage():
                servers.publish(*batches[part + 15 : part + 30])
        wait_until(lambda: servers.stored() >= 1800, "every lead is stored")
        assert stop(process) == 0

    servers.assert_ends_with(batches)


def test_a_broker_that_stalls_gives_every_lead_once_when_it_goes_on(
    servers: Installation, rabbitmq: RabbitTransport
) -> None:
    batches = batches_of(600, size=20)
    with servers.consumer() as process:
        servers.publish_and_see_some_stored(*batches[:15])
        rabbitmq.proxy.stall()
        servers.publish(*batches[15:])
        rabbitmq.proxy.restore()
        wait_until(lambda: servers.stored() >= 600, "every lead is stored")
        assert stop(process) == 0

    servers.assert_ends_with(batches)

"""Exchanges from the web process through a real queue into real tables."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, text

import ingest_service
from consumer.log_writer import LogWriter
from shared.database import writing
from shared.identity import Identity
from shared.keys import KeyRing
from shared.models import api_request_logs, api_response_logs
from shared.queues import API_LOGS, NotConfirmed, Producer, open_log_consumer, open_log_producer
from shared.queues.sqlite import SqliteProducer
from shared.settings import Settings
from tests.factories import exchange_message, lead_body, make_batch, make_exchange, make_lead
from tests.fakes import FakeProducer
from tests.integration.calling import Caller, add_partner, running
from tests.integration.installation import Installation, stop
from tests.integration.stored import number_of, rows
from tests.integration.transports import Ends, RabbitTransport, SqliteTransport, Transport
from tests.waiting import wait_until


@contextmanager
def writing_logs(settings: Settings, engine: Engine) -> Iterator[LogWriter]:
    writer = LogWriter(lambda: open_log_consumer(settings), engine)
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()


def logged(engine: Engine) -> list[tuple[str, int]]:
    """Endpoint and status of each exchange, in the order of the tables."""
    responses = {row.id: row.status for row in rows(engine, api_response_logs)}
    return [(row.endpoint, responses[row.id]) for row in rows(engine, api_request_logs)]


@pytest.mark.parametrize("engine", ["sqlite", "mariadb"], indirect=True)
def test_exchanges_are_found_in_the_tables_with_who_and_what_but_no_credentials(
    transport: Transport, engine: Engine, keys: KeyRing
) -> None:
    person = add_partner(engine)
    app = ingest_service.create_app(
        transport.settings, producer=FakeProducer(), identity=Identity(engine), keys=keys
    )
    with writing_logs(transport.settings, engine), running(app):
        partner = person.calls(app)
        accepted = partner.post("/api/leads?token=s3cr3t", lead_body(additionalData={"password": "s3cr3t"}))
        assert accepted.status_code == 201
        refused = partner.post("/api/leads", {"email": "no"})
        unknown = Caller(app, {"X-AUTH-Token": "s3cr3t"}).post("/api/leads", {})
        partner.get("/livez")
        wait_until(lambda: number_of(engine, api_response_logs) == 3, "the exchanges are logged")

    statuses = [answer.status_code for answer in (accepted, refused, unknown)]
    assert logged(engine) == [("/api/leads", status) for status in statuses]
    first, second, third = rows(engine, api_request_logs)
    assert [row.client_id for row in (first, second, third)] == [person.id, person.id, None]
    assert first.request_id == accepted.headers["X-Request-ID"]
    assert '"password":"[REDACTED]"' in first.payload
    assert first.query == "token=[REDACTED]"
    assert second.payload == '{"email": "no"}'
    assert third.payload is None  # nobody reads what a stranger sends
    bodies = [row.body for row in rows(engine, api_response_logs)]
    assert bodies == [answer.text for answer in (accepted, refused, unknown)]
    everything = repr(rows(engine, api_request_logs) + rows(engine, api_response_logs))
    for secret in ("s3cr3t", person.api_key):
        assert secret not in everything


@pytest.mark.parametrize("engine", ["sqlite", "mariadb"], indirect=True)
def test_consumers_that_race_for_the_same_exchanges_store_each_once(engine: Engine) -> None:
    exchanges = [make_exchange(request_id="again") for _ in range(300)]
    writers = [LogWriter(lambda: pytest.fail("no queue is needed"), engine) for _ in range(4)]
    with ThreadPoolExecutor(len(writers)) as threads:
        for written in [threads.submit(writer.write, exchanges[::-1]) for writer in writers]:
            written.result(30)
    assert {row.id for row in rows(engine, api_request_logs)} == {exchange.id for exchange in exchanges}
    assert number_of(engine, api_response_logs) == 300


def test_a_transaction_is_few_statements_however_many_exchanges(mariadb_engine: Engine) -> None:
    LogWriter(lambda: pytest.fail("no queue is needed"), mariadb_engine).write(
        [make_exchange() for _ in range(500)]
    )
    with mariadb_engine.connect() as connection:
        sent = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Com_insert'").one()
    assert number_of(mariadb_engine, api_request_logs) == 500
    assert int(sent[1]) <= 4


def test_messages_that_were_not_acknowledged_come_again_and_are_stored_once(
    transport: Transport, sqlite_engine: Engine
) -> None:
    producer = open_log_producer(transport.settings)
    producer.start()
    wait_until(producer.is_ready, "the producer is connected")
    producer.publish(exchange_message(*[make_exchange() for _ in range(10)]), 10.0)
    consumer = open_log_consumer(transport.settings)
    assert consumer.take(10.0) is not None
    consumer.close()
    with writing_logs(transport.settings, sqlite_engine):
        wait_until(lambda: number_of(sqlite_engine, api_response_logs) == 10, "all are stored")
    producer.close()


def test_while_the_queue_is_gone_leads_are_accepted_and_their_logs_come_later(
    rabbitmq: RabbitTransport, sqlite_engine: Engine, keys: KeyRing
) -> None:
    person = add_partner(sqlite_engine)
    rabbitmq.proxy.cut()
    app = ingest_service.create_app(
        rabbitmq.settings, producer=FakeProducer(), identity=Identity(sqlite_engine), keys=keys
    )
    with running(app), writing_logs(rabbitmq.settings, sqlite_engine):
        assert person.calls(app).post("/api/leads", lead_body()).status_code == 201
        rabbitmq.proxy.restore()
        wait_until(lambda: number_of(sqlite_engine, api_response_logs) == 1, "the exchange is logged")
    assert app.extensions["leadgate.api_log"].dropped == 0


def test_the_queue_of_rabbitmq_is_bounded_and_no_quorum(rabbitmq: RabbitTransport) -> None:
    open_log_consumer(rabbitmq.settings).close()
    bounds = {"x-max-length-bytes": 256 * 1024 * 1024, "x-overflow": "drop-head", "x-queue-type": "classic"}
    with rabbitmq.channel() as channel:
        # Declared in other words, the broker would close the channel.
        channel.queue_declare(API_LOGS, durable=True, arguments=bounds)


def test_the_embedded_queue_takes_no_more_than_its_bound_and_goes_on_once_drained(
    sqlite: SqliteTransport, sqlite_engine: Engine
) -> None:
    folder = sqlite.settings.queues_path / API_LOGS
    producer = SqliteProducer(folder, make_exchange().id, max_bytes=256 * 1024)
    producer.start()
    published = until_full(producer)
    assert published > 1
    assert sum(path.stat().st_size for path in folder.glob("*.queue")) <= 256 * 1024
    with writing_logs(sqlite.settings, sqlite_engine):
        wait_until(lambda: number_of(sqlite_engine, api_response_logs) == published, "all are stored")
    assert until_full(producer) > 1
    producer.close()


def until_full(producer: Producer) -> int:
    """How many exchanges the queue takes before it refuses one."""
    for published in range(100):
        try:
            producer.publish(exchange_message(make_exchange(body="x" * 16_000)), 1.0)
        except NotConfirmed:
            return published
    raise AssertionError("it takes any number")


@pytest.fixture
def installation(sqlite: SqliteTransport, tmp_path: Path, sqlite_engine: Engine) -> Iterator[Installation]:
    """The embedded queues and SQLite, for the consumer as a process."""
    ends = Ends(sqlite.settings)
    environment = sqlite.environment | {"DATABASE_URL": sqlite_engine.url.render_as_string()}
    yield Installation(sqlite, sqlite_engine, ends.producer(), environment, tmp_path)
    ends.close()


@pytest.fixture
def log_producer(sqlite: SqliteTransport) -> Iterator[Producer]:
    producer = open_log_producer(sqlite.settings)
    producer.start()
    yield producer
    producer.close()


def test_logs_are_stored_while_leads_come_all_the_time(
    installation: Installation, log_producer: Producer
) -> None:
    engine = installation.engine
    for _ in range(20):
        log_producer.publish(exchange_message(*[make_exchange() for _ in range(100)]), 1.0)
    with installation.consumer() as consumer:
        posted = 0
        while number_of(engine, api_response_logs) < 2000:
            installation.publish(make_batch([make_lead() for _ in range(20)]))
            posted += 20
        wait_until(lambda: installation.stored() == posted, "all leads are stored")
        assert stop(consumer) == 0


def test_where_logs_cannot_be_stored_leads_are(installation: Installation, log_producer: Producer) -> None:
    engine = installation.engine
    log_producer.publish(exchange_message(make_exchange()), 1.0)
    rename(engine, "api_request_logs", "elsewhere")
    try:
        with installation.consumer() as consumer:
            with installation.said("API logs are not written yet"):
                installation.publish(make_batch([make_lead()]))
                wait_until(lambda: installation.stored() == 1, "the lead is stored")
            rename(engine, "elsewhere", "api_request_logs")
            wait_until(lambda: number_of(engine, api_request_logs) == 1, "the exchange is stored after all")
            assert stop(consumer) == 0
    finally:
        if not inspect(engine).has_table("api_request_logs"):
            rename(engine, "elsewhere", "api_request_logs")


def rename(engine: Engine, table: str, name: str) -> None:
    with writing(engine).begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))

"""API logs reach the tables once each, and whatever goes wrong with them is nobody else's business."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, Row, Table, select
from sqlalchemy.exc import OperationalError

from consumer import log_writer
from consumer.log_writer import LogWriter
from shared.exchanges import Exchange
from shared.models import api_request_logs, api_response_logs
from shared.queues import QueueUnavailable
from tests.factories import exchange_message, make_exchange
from tests.fakes import FakeQueue
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "BACK_OFF_SECONDS", (0.01, 0.02))


class System:
    """A log writer over queues in memory and a real database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.queues: list[FakeQueue] = []
        self.opened = 0
        self.writer = LogWriter(self._open, engine)

    def _open(self) -> FakeQueue:
        self.opened += 1
        if not self.queues:
            raise QueueUnavailable("nobody there")
        return self.queues[0]

    def drain(self, *bodies: bytes) -> FakeQueue:
        """Runs until all of these messages are acknowledged."""
        queue = FakeQueue(*bodies)
        self.queues.append(queue)
        self.writer.start()
        wait_until(lambda: len(queue.acknowledged) == len(bodies), "all messages are acknowledged")
        self.writer.stop()
        return queue

    def stored(self) -> list[str]:
        """The request ids in both tables, sorted."""
        requests = {row.id: row.request_id for row in rows(self.engine, api_request_logs)}
        assert [row.id for row in rows(self.engine, api_response_logs)] == list(requests)
        return sorted(requests.values())

    def fail(self, monkeypatch: pytest.MonkeyPatch, error: Exception, times: int) -> None:
        """The first `times` transactions end in `error`."""
        insert: Callable[[Sequence[Exchange]], None] = self.writer._insert
        failures = [error] * times

        def failing(exchanges: Sequence[Exchange]) -> None:
            if failures:
                raise failures.pop()
            insert(exchanges)

        monkeypatch.setattr(self.writer, "_insert", failing)


def rows(engine: Engine, table: Table) -> list[Row[Any]]:
    with engine.connect() as connection:
        return list(connection.execute(select(table).order_by(table.c.received_at)).all())


@pytest.fixture
def system(sqlite_engine: Engine) -> System:
    return System(sqlite_engine)


def test_an_exchange_is_stored_as_it_was(system: System) -> None:
    exchange = make_exchange()
    system.drain(exchange_message(exchange))
    [request], [response] = rows(system.engine, api_request_logs), rows(system.engine, api_response_logs)
    stored: dict[str, Any] = {**request._asdict(), **response._asdict()}
    assert Exchange(**stored) == exchange


def test_what_comes_twice_is_stored_once(system: System) -> None:
    first, second = make_exchange(request_id="a"), make_exchange(request_id="b")
    message = exchange_message(first, second)
    system.drain(message, message, exchange_message(second, make_exchange(request_id="c")))
    assert system.stored() == ["a", "b", "c"]


def test_a_request_id_that_was_used_again_is_stored_again(system: System) -> None:
    system.drain(*[exchange_message(make_exchange(request_id="again")) for _ in range(2)])
    assert system.stored() == ["again", "again"]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"schema":2,"exchanges":[]}',
        b'{"schema":1,"exchanges":[{}]}',
    ],
)
def test_a_message_that_is_none_of_ours_is_dropped_and_counted(system: System, message: bytes) -> None:
    system.drain(message, exchange_message(make_exchange(request_id="good")))
    assert system.stored() == ["good"]
    assert system.writer.dropped == 1


@pytest.mark.parametrize("status", [b'"200"', b"null", b'200,"more":1'])
def test_an_exchange_with_values_of_other_kinds_is_dropped_and_counted(system: System, status: bytes) -> None:
    message = exchange_message(make_exchange()).replace(b'"status":200', b'"status":' + status)
    system.drain(message, exchange_message(make_exchange(request_id="good")))
    assert system.stored() == ["good"]
    assert system.writer.dropped == 1


def test_an_exchange_that_the_database_refuses_is_dropped_and_the_others_stored(system: System) -> None:
    bad = make_exchange(duration_us=2**63)
    others = [make_exchange(request_id=name) for name in ("a", "b")]
    system.drain(exchange_message(others[0], bad, others[1]))
    assert system.stored() == ["a", "b"]
    assert system.writer.dropped == 1


def test_while_the_database_is_gone_nothing_is_dropped(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.fail(monkeypatch, OperationalError("INSERT", None, Exception("gone")), times=3)
    queue = FakeQueue(exchange_message(make_exchange(request_id="a")))
    queue.close = lambda: queue.waiting.extend(queue.unacknowledged)  # type: ignore[method-assign]
    system.queues.append(queue)
    system.writer.start()
    wait_until(lambda: queue.acknowledged != [], "the message is acknowledged")
    system.writer.stop()
    assert system.stored() == ["a"]
    assert system.writer.dropped == 0


def test_a_queue_that_comes_back_is_drained(system: System, caplog: pytest.LogCaptureFixture) -> None:
    system.writer.start()
    with caplog.at_level(logging.WARNING):
        wait_until(lambda: system.opened > 2, "it has tried again")
    queue = FakeQueue(exchange_message(make_exchange(request_id="late")))
    system.queues.append(queue)
    wait_until(lambda: len(queue.acknowledged) == 1, "the message is acknowledged")
    system.writer.stop()
    assert system.stored() == ["late"]


def test_a_fault_of_ours_is_tried_again(system: System) -> None:
    class Broken(FakeQueue):
        def take(self, wait: float) -> None:
            system.queues.pop(0)
            raise ZeroDivisionError

    system.queues.append(Broken())
    system.drain(exchange_message(make_exchange(request_id="after")))
    assert system.stored() == ["after"]


def test_a_stop_leaves_what_was_not_written_in_the_queue(system: System) -> None:
    system.writer.stop()
    system.queues.append(FakeQueue(exchange_message(replace(make_exchange(), request_id="x"))))
    system.writer.start()
    wait_until(lambda: not system.writer._thread.is_alive(), "it has ended")
    assert system.stored() == []

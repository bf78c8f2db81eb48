"""What a write costs in statements: as much for a thousand leads as for two."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from shared.messages import Lead
from shared.models import leads
from tests.factories import NOON, make_batch, make_keyed_lead, make_lead, make_writer, sent_again
from tests.integration.stored import assert_all_stored_once, counted, number_of


def executions_of(engine: Engine, number_of_leads: int) -> int:
    """How often a cursor executes while that many leads are written."""
    return executions(engine, [make_lead() for _ in range(number_of_leads)])


def executions(engine: Engine, batch: list[Lead]) -> int:
    """The same for these leads in one batch."""
    executed: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        executed.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    make_writer(engine).write([(make_batch(batch), 0)])
    event.remove(engine, "before_cursor_execute", note)
    return len(executed)


def test_a_thousand_leads_take_as_many_executions_as_two(engine: Engine) -> None:
    assert executions_of(engine, 1000) == executions_of(engine, 2) <= 9


def test_two_hundred_batches_take_hardly_more_executions_than_one(engine: Engine) -> None:
    executed: list[str] = []
    batches = [make_batch([make_lead()]) for _ in range(200)]
    event.listen(engine, "before_cursor_execute", lambda *arguments: executed.append(arguments[2]))

    make_writer(engine).write([(batch, 0) for batch in batches])

    # Receipts are looked up producer by producer, and here each batch has one of its own.
    assert len([statement for statement in executed if not statement.startswith("SELECT")]) <= 8


def test_a_thousand_idempotency_keys_take_one_execution_more_than_none(engine: Engine) -> None:
    keyed = [make_keyed_lead(str(number)) for number in range(1000)]
    without = executions_of(engine, 1000)

    # They are claimed; as all are new, none is read.
    assert executions(engine, keyed) == without + 1
    # Those that hold them are read, the leads that are there too, and the receipt is corrected; but no lead
    # is written.
    assert executions(engine, [sent_again(lead, city="Bonn") for lead in keyed]) <= without + 4


def test_one_duplicate_in_a_thousand_leads_takes_two_executions_more_than_none(engine: Engine) -> None:
    again = make_lead()
    make_writer(engine).write([(make_batch([again]), 0)])
    without = executions_of(engine, 1000)

    duplicate = make_lead(email=again.content["email"])
    # Keys that others hold are read, and the receipt is corrected.
    assert executions(engine, [make_lead() for _ in range(999)] + [duplicate]) == without + 2


@pytest.mark.parametrize("engine", ["mariadb", "mysql"], indirect=True)
def test_the_driver_sends_a_thousand_leads_in_a_few_statements(engine: Engine) -> None:
    batch = make_batch([make_keyed_lead(str(number)) for number in range(1000)])
    connection, before = inserts_so_far(engine)

    make_writer(engine).write([(batch, 0)])

    same_connection, after = inserts_so_far(engine)
    assert same_connection == connection
    assert 5 <= after - before <= 9
    assert number_of(engine, leads) == 1000


def inserts_so_far(engine: Engine) -> tuple[int, int]:
    """The id of the only connection of `engine`, and how many INSERT statements the server got on it."""
    with engine.connect() as connection:
        id = connection.scalar(text("SELECT CONNECTION_ID()"))
        _, inserts = connection.execute(text("SHOW SESSION STATUS LIKE 'Com_insert'")).one()
    return int(id or 0), int(inserts)


def test_leads_of_two_thousand_clients_in_one_write_are_counted(engine: Engine) -> None:
    batch = make_batch(
        [make_lead(client_id=number, received_at=NOON + timedelta(days=number)) for number in range(2000)]
    )

    make_writer(engine).write([(batch, 0)])

    assert_all_stored_once(engine, {lead.id for lead in batch.leads})
    assert counted(engine, grain="minute") == 2000

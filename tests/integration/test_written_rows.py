"""Rows that are written into statements as text: whatever a value is, that value is what the table has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, insert, select, text
from sqlalchemy.exc import IntegrityError

from shared.database import insert_many, writing
from shared.models import api_request_logs, quarantined_leads
from tests.factories import NOON
from tests.integration.stored import rows

HOSTILE = [
    "'",
    "''",
    "\\",
    "\\'",
    "\\\\'",
    "'); DROP TABLE leads; -- ",
    "\\'); DROP TABLE leads; -- ",
    "x' OR '1'='1",
    "/*! DROP TABLE leads */ # --",
    "%s %(payload)s %% %",
    ":payload ? {} $1",
    "\x00\x01\x08\t\n\r\x1a\x1b\x7f",
    "".join(map(chr, range(0x100))),
    "\u00bf\u005c' \uff07 \u02bc \u2019 \u2028",
    "Zoë 😀 \U0010ffff \ufffe שלום",
    "",
    " a ",
    '"`"',
]


def parked(number: int, **changes: Any) -> dict[str, Any]:
    """A row with a value of every type."""
    row = {
        "id": UUID(int=number),
        "lead_id": None,
        "client_id": -(2**63),
        "email_hash": bytes(range(32)),
        "received_at": NOON,
        "reason": "a test",
        "detail": "",
        "payload": b"",
        "attempts": 0,
        "created_at": NOON,
    }
    return row | changes


def exchange(number: int, said: str) -> dict[str, Any]:
    return {
        "received_at": NOON,
        "id": UUID(int=number),
        "request_id": str(number),
        "method": "POST",
        "endpoint": said[:255],
        "query": said,
        "payload": said,
        "client_id": None,
        "address": "192.0.2.1",
        "user_agent": None,
    }


def exchanges(said: list[str]) -> list[dict[str, Any]]:
    return [exchange(number, text) for number, text in enumerate(said)]


def test_any_text_reads_back_as_it_was(engine: Engine) -> None:
    with writing(engine).begin() as connection:
        insert_many(connection, insert(api_request_logs), exchanges(HOSTILE))

    found = rows(engine, api_request_logs)
    assert [row.payload for row in found] == HOSTILE
    assert [row.endpoint for row in found] == [text[:255] for text in HOSTILE]


@pytest.mark.parametrize("engine", ["mariadb", "mysql"], indirect=True)
@pytest.mark.parametrize("mode", ["NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"])
def test_no_mode_of_the_server_changes_what_a_text_is(engine: Engine, mode: str) -> None:
    with engine.connect() as connection:
        connection.execute(text(f"SET sql_mode = 'STRICT_ALL_TABLES,{mode}'"))
        insert_many(connection, insert(api_request_logs), exchanges(HOSTILE))
        found = connection.execute(select(api_request_logs).order_by(api_request_logs.c.id)).all()
        connection.rollback()
        connection.invalidate()

    assert [row.payload for row in found] == HOSTILE


def test_bytes_numbers_flags_ids_and_moments_read_back_as_they_were(engine: Engine) -> None:
    moments = [
        NOON + timedelta(microseconds=1),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 6, 1, 0, 30, tzinfo=timezone(timedelta(hours=14))),
    ]
    sent = [
        parked(number, created_at=moment, payload=bytes(range(256)) * number, lead_id=UUID(int=2**128 - 1))
        for number, moment in enumerate(moments)
    ]

    with writing(engine).begin() as connection:
        insert_many(connection, insert(quarantined_leads), sent)

    found = [dict(row._mapping) for row in rows(engine, quarantined_leads)]
    assert [{name: row[name] for name in sent[0]} for row in found] == sent


def test_columns_that_are_named_in_another_order_get_their_own_values(engine: Engine) -> None:
    row = parked(1, reason="the reason", detail="the detail")
    other = dict(reversed(parked(2, reason="another reason", detail="another detail").items()))

    with writing(engine).begin() as connection:
        insert_many(connection, insert(quarantined_leads), [row, other])

    found = [(row.reason, row.detail) for row in rows(engine, quarantined_leads)]
    assert found == [("the reason", "the detail"), ("another reason", "another detail")]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_what_all_rows_say_alike_is_written_in_each(engine: Engine, number: int) -> None:
    said = "100 % %s %(detail)s it's \\"

    with writing(engine).begin() as connection:
        insert_many(connection, insert(quarantined_leads), [parked(id, detail=said) for id in range(number)])

    assert [row.detail for row in rows(engine, quarantined_leads)] == [said] * number


def test_a_column_may_be_empty_in_some_rows(engine: Engine) -> None:
    received = [None, NOON, None]
    ids = [UUID(int=7), None, None]
    sent = [
        parked(number, received_at=moment, lead_id=id)
        for number, (moment, id) in enumerate(zip(received, ids, strict=True))
    ]

    with writing(engine).begin() as connection:
        insert_many(connection, insert(quarantined_leads), sent)

    found = rows(engine, quarantined_leads)
    assert [(row.received_at, row.lead_id) for row in found] == list(zip(received, ids, strict=True))


@pytest.mark.parametrize("engine", ["mariadb", "mysql"], indirect=True)
def test_a_statement_has_about_a_megabyte_or_one_row(engine: Engine) -> None:
    executed: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: executed.append(arguments[2]))
    long = [parked(number, payload=b"x" * 200_000) for number in range(4)]

    with writing(engine).begin() as connection:
        insert_many(connection, insert(quarantined_leads), [*long, parked(5, payload=b"x" * 2_000_000)])

    assert len(executed) == 3  # two of two rows, in hexadecimal digits, and the last alone
    assert len(rows(engine, quarantined_leads)) == 5


@pytest.mark.parametrize("engine", ["mariadb", "mysql"], indirect=True)
def test_what_is_written_is_in_no_error_message(engine: Engine) -> None:
    twice = [parked(1, detail="Ada Lovelace"), parked(1, detail="Ada Lovelace")]

    with pytest.raises(IntegrityError) as failure, writing(engine).begin() as connection:
        insert_many(connection, insert(quarantined_leads), twice)

    assert "Lovelace" not in str(failure.value)
    assert "INSERT INTO quarantined_leads" in str(failure.value)


@pytest.mark.parametrize("engine", ["mariadb", "mysql"], indirect=True)
def test_a_value_of_a_type_that_no_column_has_is_refused(engine: Engine) -> None:
    with pytest.raises(TypeError, match="list is no type"), writing(engine).begin() as connection:
        insert_many(connection, insert(quarantined_leads), [parked(1, detail=["a list"])])

    assert rows(engine, quarantined_leads) == []

"""Sort keys, and what the column types make of values on their way into the database and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Engine, MetaData, Table, create_engine, insert, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.schema import CreateTable

from shared.columns import (
    SORT_KEY_BYTES,
    BigId,
    Bytes,
    LeadId,
    LongBytes,
    LongText,
    SortKey,
    UtcTime,
    exact_text,
    normalised,
    sort_key,
)

SHORT = st.text(max_size=14)  # NFKC makes no more than 18 characters of one


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Zoë", "ZOË"),
        ("Straße", "STRASSE"),
        ("José", "Jose\u0301"),
        ("ﬁn", "fin"),
        ("Ａnna", "anna"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ],
)
def test_case_and_ways_to_write_a_letter_do_not_matter(one: str, other: str) -> None:
    assert sort_key(one) == sort_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("jose@x.com", "josé@x.com"), ("😀", "😁"), ("muller", "müller"), ("a", "a "), ("i", "ı")],
)
def test_different_letters_stay_different(one: str, other: str) -> None:
    assert sort_key(one) != sort_key(other)


@given(SHORT, SHORT)
def test_keys_sort_as_the_normalised_texts_do(one: str, other: str) -> None:
    assert (sort_key(one) < sort_key(other)) == (normalised(one) < normalised(other))


@given(st.text(max_size=255))
def test_no_key_is_too_long_for_its_column(text: str) -> None:
    assert len(sort_key(text)) <= SORT_KEY_BYTES


def test_texts_that_differ_beyond_what_fits_have_different_keys() -> None:
    long = "\ufdfa" * 254  # each becomes 18 characters
    assert sort_key(long + "a") != sort_key(long + "b")
    assert sort_key(long + "a") == sort_key(long + "A")
    assert sort_key(long + "a").startswith(sort_key("\ufdfa" * 10))


def round_trip(engine: Engine, value: Any, kind: Any) -> Any:
    table = Table("values", MetaData(), Column("id", BigId, primary_key=True), Column("value", kind))
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(insert(table).values(value=value))
        found = connection.scalar(select(table.c.value))
        table.drop(connection)
    return found


@pytest.fixture
def memory() -> Any:
    engine = create_engine("sqlite://")
    yield engine
    engine.dispose()


def test_a_time_of_any_zone_comes_back_in_utc_to_the_microsecond(memory: Engine) -> None:
    moment = datetime(2026, 6, 1, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2)))
    found = round_trip(memory, moment, UtcTime)
    assert (found, found.tzinfo) == (moment, UTC)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (uuid4(), LeadId),
        (b"\x00" * 31 + b"\xff", Bytes(32)),
        (sort_key("Zoë"), SortKey),
        ("José 😀 \n", exact_text(20)),
        ('{"b":1.0,"a":[]}', LongText),
        (bytes(range(256)), LongBytes),
        (2**62, BigId),
    ],
)
def test_a_value_comes_back_as_it_was(memory: Engine, value: Any, kind: Any) -> None:
    assert round_trip(memory, value, kind) == value


@pytest.mark.parametrize("kind", [UtcTime, LeadId, Bytes(32), SortKey, exact_text(20)])
def test_nothing_stays_nothing(memory: Engine, kind: Any) -> None:
    assert round_trip(memory, None, kind) is None


@pytest.mark.parametrize(
    ("kind", "on_sqlite", "on_mysql"),
    [
        (UtcTime, "DATETIME", "DATETIME(6)"),
        (LeadId, "BLOB", "BINARY(16)"),
        (Bytes(32), "BLOB", "BINARY(32)"),
        (SortKey, "BLOB", "VARBINARY(1020)"),
        (BigId, "INTEGER", "BIGINT"),
        (exact_text(20), "VARCHAR(20)", "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
        (LongText, "TEXT", "MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
        (LongBytes, "BLOB", "LONGBLOB"),
    ],
)
def test_each_type_has_its_column_on_each_database(kind: Any, on_sqlite: str, on_mysql: str) -> None:
    table = Table("kinds", MetaData(), Column("value", kind))
    assert f"value {on_sqlite}" in str(CreateTable(table).compile(dialect=sqlite.dialect()))
    assert f"value {on_mysql}" in str(CreateTable(table).compile(dialect=mysql.dialect()))

"""Many rows for MySQL and MariaDB, written out here: of what it took to store a lead, half was SQLAlchemy and
PyMySQL handing over the 26 values of its row, one by one.

SQLAlchemy still writes the statement around the rows. A value becomes what the server can only read as that
value, whatever its SQL mode: text in quotes, bytes in hexadecimal digits, nothing of a type not named here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any
from uuid import UUID

from pymysql.converters import conversions
from sqlalchemy import ColumnElement, Connection, Insert, literal
from sqlalchemy.engine import Dialect
from sqlalchemy.types import UserDefinedType

STATEMENT_CHARACTERS = 1_000_000


class Written:
    """A piece of a statement, which the driver puts in as it is.

    As a parameter, so that no error message repeats it: it is people's data.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql


class _AsItIs(UserDefinedType[Written]):
    """The type of what is written: not that of the column it is compared with."""

    cache_ok = True


# How PyMySQL writes out parameters: its own ways, and ours.
CONVERSIONS = conversions | {Written: lambda value, _: value.sql}


def insert_written(connection: Connection, statement: Insert, rows: Sequence[Mapping[str, Any]]) -> int:
    """Executes `statement`, an INSERT without values, for `rows`, which all have the same columns; about
    STATEMENT_CHARACTERS at a time. Returns how many rows it has inserted."""
    columns = tuple(column.name for column in statement.table.columns if column.name in rows[0])
    sql = _around_rows(statement, columns, connection.dialect)
    return sum(
        connection.exec_driver_sql(sql, (Written(some),)).rowcount for some in _joined(_rows(rows, columns))
    )


def among_written(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """`column.in_(values)` for thousands of them, at least one."""
    placeholder, literals = _column(tuple(values))
    written = Written("(" + ",".join([placeholder % literal for literal in literals]) + ")")
    return column.op("IN", is_comparison=True)(literal(written, _AsItIs()))


@lru_cache(256)  # compiling takes as long as writing out fifty rows
def _around_rows(statement: Insert, columns: tuple[str, ...], dialect: Dialect) -> str:
    """The statement with one placeholder where its rows belong."""
    compiled = str(statement.compile(dialect=dialect, column_keys=columns))
    one_row = ", ".join(f"%({name})s" for name in columns)
    before, after = compiled.split(f"({one_row})")
    return f"{before}%s{after}"


def _rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Iterable[str]:
    """Each row in its parentheses. Made column by column: value by value takes twice as long."""
    pattern: list[str] = []
    varying: list[Iterable[Any]] = []
    for values in zip(*map(itemgetter(*columns), rows), strict=True):
        if _is_one(values):
            pattern.append(_LITERALS[type(values[0])](values[0]).replace("%", "%%"))
        else:
            placeholder, literals = _column(values)
            pattern.append(placeholder)
            varying.append(literals)
    row = "(" + ",".join(pattern) + ")"
    if not varying:
        return [row % ()] * len(rows)
    return map(row.__mod__, zip(*varying, strict=True))


def _is_one(values: Sequence[Any]) -> bool:
    """Whether all are the very same object, as what a batch says of all its rows is."""
    return values[0] is values[-1] and len(set(map(id, values))) == 1


def _column(values: Sequence[Any]) -> tuple[str, Iterable[Any]]:
    """How the values of a column are written: a placeholder, and what it is given for each of them."""
    kinds = set(map(type, values))
    kind = kinds.pop()
    if kinds:
        return "%s", [_LITERALS[type(value)](value) for value in values]
    if kind is str and _is_plain("".join(values)):
        return "'%s'", values
    if kind is date:
        return "'%s'", map(date.isoformat, values)
    if kind is bytes:
        return "x'%s'", map(bytes.hex, values)
    if kind is UUID:
        return "x'%032x'", map(attrgetter("int"), values)
    return "%s", map(_LITERALS[kind], values)


def _joined(rows: Iterable[str]) -> Iterator[str]:
    """The rows with commas between them, so many at a time that a statement has about its length."""
    some: list[str] = []
    length = 0
    for row in rows:
        if some and length + len(row) > STATEMENT_CHARACTERS:
            yield ",".join(some)
            some, length = [], 0
        some.append(row)
        length += len(row) + 1
    yield ",".join(some)


def _is_plain(text: str) -> bool:
    """Whether it means itself between quotes, in every SQL mode."""
    return "'" not in text and "\\" not in text


def _text(value: str) -> str:
    if _is_plain(value):
        return f"'{value}'"
    # What a backslash means depends on the server's SQL mode; a text with one is written as its bytes.
    if "\\" in value:
        return f"_utf8mb4 x'{value.encode().hex()}'"
    return "'" + value.replace("'", "''") + "'"


@lru_cache(2048)  # the same lead's moments stand in several rows, and some are the same for a whole batch
def _moment(value: datetime) -> str:
    at = value.astimezone(UTC)
    fields = (at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond)
    return "'%04d-%02d-%02d %02d:%02d:%02d.%06d'" % fields  # noqa: UP031 - isoformat() takes twice as long


class _Literals(dict[type, Callable[[Any], str]]):
    def __missing__(self, kind: type) -> Callable[[Any], str]:
        raise TypeError(f"{kind.__name__} is no type of a value in a row")


_LITERALS = _Literals(
    {
        type(None): lambda _: "NULL",
        bool: lambda value: "1" if value else "0",
        int: str,
        str: _text,
        bytes: lambda value: f"x'{value.hex()}'",
        UUID: lambda value: f"x'{value.hex}'",
        date: lambda value: f"'{value.isoformat()}'",
        datetime: _moment,
    }
)

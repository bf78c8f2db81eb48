"""The connection to the leads database, on SQLite and on MySQL/MariaDB alike."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Engine, Insert, Table, create_engine, event, func
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InvalidatePoolError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.pool import ConnectionPoolEntry

from shared.offload import Offload, run_here
from shared.reading import limit_reads_of_mysql, limit_reads_of_sqlite
from shared.write_ahead import use_write_ahead_log
from shared.written_rows import CONVERSIONS, among_written, insert_written

CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 30
BUSY_SECONDS = 30
FORGET_ATTEMPTS, FORGET_PAUSE_SECONDS = 20, 0.1
_WRITES = "leadgate.writes"
SILENT_SECONDS = 1.0  # after which a connection may have gone unnoticed
_USED = "leadgate.used"
# Strict whatever the server's default: text is never cut, a bad value is an error.
SESSION = "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"


def open_database(
    url: str, offload: Offload = run_here, *, session: str = "", patience: int = READ_TIMEOUT_SECONDS
) -> Engine:
    """An engine for `url`; connects when first used.

    `offload` runs the calls into SQLite (MySQL's are sockets, which gevent makes cooperative by itself).
    `session` is what else MySQL is told to SET for each connection; a server that has said nothing for
    `patience` seconds is given up.
    """
    if make_url(url).get_backend_name() == "sqlite":
        return _open_sqlite(url, offload)
    engine = create_engine(
        make_url(url).update_query_dict({"charset": "utf8mb4"}),
        # What a statement was given are people's data: it does not belong into error messages and logs.
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        pool_recycle=1800,
        pool_timeout=patience,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "read_timeout": patience,
            "write_timeout": patience,
            "init_command": ", ".join(filter(None, [SESSION, session])),
            "conv": CONVERSIONS,
            # Without FOUND_ROWS, which SQLAlchemy would ask for, rows that an upsert finds and leaves as they
            # are do not count: what is counted are new ones.
            "client_flag": 0,
        },
    )
    _ask_the_silent(engine)
    limit_reads_of_mysql(engine)
    return engine


def _ask_the_silent(engine: Engine) -> None:
    """As SQLAlchemy's `pool_pre_ping`, which asks of every connection whether it is still there before it is
    used, but not of one that was in use a moment ago: that was a quarter of what a page says to the server.
    """

    @event.listens_for(engine, "checkin")
    def note(_: object, record: ConnectionPoolEntry) -> None:
        record.info[_USED] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
        used = record.info.get(_USED)  # none of a new one
        if used is None or time.monotonic() - used < SILENT_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error  # the pool makes new ones


def open_for_look_ups(url: str, offload: Offload = run_here, *, seconds: float) -> Engine:
    """An engine for single SELECTs, each of which is all that goes over the line.

    Waiting for a connection, connecting and each answer take `seconds` at most, then an error is raised.
    """
    if make_url(url).get_backend_name() == "sqlite":
        return _open_sqlite(url, offload, seconds)
    timeouts = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), seconds)
    return create_engine(
        make_url(url).update_query_dict({"charset": "utf8mb4"}),
        hide_parameters=True,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_reset_on_return=None,
        pool_timeout=seconds,
        pool_recycle=1800,
        connect_args={**timeouts, "init_command": SESSION},
    )


def _open_sqlite(url: str, offload: Offload, busy_seconds: float = BUSY_SECONDS) -> Engine:
    writer = threading.Lock()
    path = make_url(url).database
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)

    class OffloadedCursor(sqlite3.Cursor):
        def execute(self, *args: Any) -> Any:
            return offload(super().execute, *args)

        def executemany(self, *args: Any) -> Any:
            return offload(super().executemany, *args)

        def fetchall(self) -> list[Any]:
            return offload(super().fetchall)

    class OffloadedConnection(sqlite3.Connection):
        def cursor(self, factory: Any = OffloadedCursor) -> Any:
            return super().cursor(factory)

        def commit(self) -> None:
            offload(super().commit)

    engine = create_engine(
        url,
        hide_parameters=True,
        connect_args={"factory": OffloadedConnection, "check_same_thread": False, "timeout": busy_seconds},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        # sqlite3's own transactions begin at the first write; ours begin when SQLAlchemy says so.
        connection.isolation_level = None
        use_write_ahead_log(connection, busy_seconds)
        for pragma in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A reader takes no lock; a writer says so (`writing`) and takes it at once, since a reader that
        # turns writer later may find its snapshot outdated and fail.
        if not connection.get_execution_options().get("writing"):
            connection.exec_driver_sql("BEGIN DEFERRED")
            return
        # SQLite itself would let us wait in the one thread that the writer before us needs for its commit.
        connection.info[_WRITES] = writer.acquire(timeout=BUSY_SECONDS)
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except BaseException:
            end(connection)
            raise

    @event.listens_for(engine, "commit")
    @event.listens_for(engine, "rollback")
    def end(connection: Connection) -> None:
        if connection.info.pop(_WRITES, False):
            writer.release()

    limit_reads_of_sqlite(engine)
    return engine


def forget_deleted(engine: Engine) -> None:
    """Takes what was deleted out of SQLite's write-ahead log, as soon as nobody reads or writes there.

    Of the file itself it is gone already (secure_delete). The other databases' files are none of ours.
    """
    if engine.dialect.name != "sqlite":
        return
    for _ in range(FORGET_ATTEMPTS):
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (is_busy, *_), *_ = cursor.fetchall()
            cursor.close()
        finally:
            connection.close()
        if not is_busy:
            return
        time.sleep(FORGET_PAUSE_SECONDS)


def writing(engine: Engine) -> Engine:
    """The same engine, for transactions that write."""
    return engine.execution_options(writing=True)


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    add: Sequence[str] = (),
    greatest: Sequence[str] = (),
    replace: Sequence[str] = (),
) -> int:
    """Inserts `rows`, many in a statement; where a primary key is there already, columns in `add` are summed
    up, of `greatest` the larger value stays, of `replace` the new one, and all others stay as they are.

    Returns how many were not there, if none of these is named. `rows` have the same columns and must be
    sorted by primary key: unsorted upserts of two writers deadlock.
    """
    if not rows:
        return 0
    is_sqlite = connection.dialect.name == "sqlite"
    return insert_many(
        connection, _upsert(table, is_sqlite, tuple(add), tuple(greatest), tuple(replace)), rows
    )


def insert_many(connection: Connection, statement: Insert, rows: Sequence[Mapping[str, Any]]) -> int:
    """Executes `statement`, an INSERT without values, for `rows`, which all have the same columns. Returns
    how many rows it has inserted."""
    if connection.dialect.name == "sqlite":
        return connection.execute(statement, rows, execution_options={"preserve_rowcount": True}).rowcount
    return insert_written(connection, statement, rows)


def among(connection: Connection, column: ColumnElement[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """`column.in_(values)`, which may be thousands, but not none."""
    return column.in_(values) if connection.dialect.name == "sqlite" else among_written(column, values)


def blames_the_data(error: SQLAlchemyError) -> bool:
    """Whether the same row would be refused again; of any other error that is not known, so it is not."""
    if isinstance(error, DBAPIError):
        return isinstance(error, DataError | IntegrityError)
    return isinstance(error, StatementError)  # a value that the driver cannot send


def in_short(error: BaseException) -> str:
    """The first line of what the driver says: the rest is the statement with people's data in it."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {cause}".splitlines()[0][:500]


@lru_cache(64)
def _upsert(
    table: Table,
    is_sqlite: bool,
    add: tuple[str, ...],
    greatest: tuple[str, ...],
    replace: tuple[str, ...],
) -> Insert:
    keys = list(table.primary_key.columns)
    if is_sqlite:
        lite = sqlite.insert(table)
        changes = _changes(table, lite.excluded, func.max, add, greatest, replace)
        if changes:
            return lite.on_conflict_do_update(index_elements=keys, set_=changes)
        return lite.on_conflict_do_nothing(index_elements=keys)
    my = mysql.insert(table)
    changes = _changes(table, my.inserted, func.greatest, add, greatest, replace)
    return my.on_duplicate_key_update(changes or {keys[0].name: keys[0]})


def _changes(
    table: Table,
    new: Any,
    larger: Callable[[Any, Any], Any],
    add: Sequence[str],
    greatest: Sequence[str],
    replace: Sequence[str],
) -> dict[str, Any]:
    return (
        {name: table.c[name] + new[name] for name in add}
        | {name: larger(table.c[name], new[name]) for name in greatest}
        | {name: new[name] for name in replace}
    )

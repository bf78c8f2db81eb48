"""Transactions that read for an answer: one view of all tables, no statement for longer than READ_SECONDS."""

from __future__ import annotations

import sqlite3
import time
from typing import Any, cast

from sqlalchemy import Connection, Engine, event

READ_SECONDS = 5
PATIENCE_SECONDS = READ_SECONDS + 2  # of a service that answers people; a statement ends by itself before
_SECONDS = "leadgate.reading"  # of a connection: how long a statement may take, None unless it reads
_STEPS = 10_000  # of SQLite's virtual machine between two looks at the clock: about a millisecond


def reading(engine: Engine) -> Engine:
    """The same engine, for transactions that read several things which must agree."""
    return engine.execution_options(reading=True)


def limit_reads_of_mysql(engine: Engine) -> None:
    """Makes `reading` true of an engine for MySQL or MariaDB.

    A connection stays in the state it was last used in, so that a read after a read says nothing of it: to
    say it for each transaction took a round trip, and the time for each statement a prefix.
    """

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        seconds = READ_SECONDS if _is_reading(connection) else None
        if connection.info.get(_SECONDS) != seconds:
            is_mariadb = getattr(connection.dialect, "is_mariadb", False)
            connection.exec_driver_sql(_session(seconds, is_mariadb=is_mariadb))
            connection.info[_SECONDS] = seconds  # as long as it is the same connection to the server


def _session(seconds: float | None, *, is_mariadb: bool) -> str:
    """One statement, so that all of it holds or nothing. Without `seconds`, for transactions that write."""
    isolation, read_only = ("READ-COMMITTED", 0) if seconds is None else ("REPEATABLE-READ", 1)
    if is_mariadb:
        limit = "max_statement_time = " + ("DEFAULT" if seconds is None else str(seconds))
        return (
            f"SET SESSION tx_isolation = '{isolation}', SESSION tx_read_only = {read_only}, SESSION {limit}"
        )
    limit = "max_execution_time = " + ("DEFAULT" if seconds is None else str(int(seconds * 1000)))
    return (
        f"SET SESSION transaction_isolation = '{isolation}', "
        f"SESSION transaction_read_only = {read_only}, SESSION {limit}"
    )


def limit_reads_of_sqlite(engine: Engine) -> None:
    """The same for SQLite, whose transactions have one view of all tables anyway."""

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not _is_reading(connection):
            _driver_connection(connection).set_progress_handler(None, 0)

    @event.listens_for(engine, "before_cursor_execute")
    def limit(connection: Connection, *_: Any) -> None:
        if _is_reading(connection):
            deadline = time.monotonic() + READ_SECONDS
            _driver_connection(connection).set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)


def _is_reading(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("reading"))


def _driver_connection(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)

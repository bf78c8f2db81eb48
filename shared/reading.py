"""Transactions that read for an answer: one view of all tables, no statement for longer than READ_SECONDS."""

from __future__ import annotations

import sqlite3
import time
from typing import Any, cast

from sqlalchemy import Connection, Engine, event

READ_SECONDS = 5
PATIENCE_SECONDS = READ_SECONDS + 2  # of a service that answers people; a statement ends by itself before
_STEPS = 10_000  # of SQLite's virtual machine between two looks at the clock: about a millisecond


def reading(engine: Engine) -> Engine:
    """The same engine, for transactions that read several things which must agree."""
    return engine.execution_options(reading=True)


def limit_reads_of_mysql(engine: Engine) -> None:
    """Makes `reading` true of an engine for MySQL or MariaDB."""

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if _is_reading(connection):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def limit(
        connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> tuple[str, Any]:
        if not _is_reading(connection) or not statement.startswith("SELECT"):
            return statement, parameters
        if getattr(connection.dialect, "is_mariadb", False):
            return f"SET STATEMENT max_statement_time={READ_SECONDS} FOR {statement}", parameters
        hint = f"/*+ MAX_EXECUTION_TIME({int(READ_SECONDS * 1000)}) */"
        return statement.replace("SELECT", f"SELECT {hint}", 1), parameters


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

"""SQLite's write-ahead log, switched on where several processes may do so at the same moment."""

from __future__ import annotations

import sqlite3
import time

POLL_SECONDS = 0.01


def use_write_ahead_log(connection: sqlite3.Connection, seconds: float) -> None:
    """Switches the connection's file to its write-ahead log, waiting `seconds` at most for whoever holds it.

    SQLite's own busy timeout does not cover that: of two who switch a new file at once, one fails at once.
    Raises sqlite3.Error.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(POLL_SECONDS)
        else:
            return

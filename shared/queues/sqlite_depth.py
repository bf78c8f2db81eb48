"""How full the embedded queue is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from shared.queues import Depth, QueueUnavailable
from shared.queues.sqlite import SUFFIX


def sqlite_depth(folder: Path, seconds: float) -> Depth:
    """The messages in all files, those that consumers hold too. None are dead: they are tried for ever.

    Raises QueueUnavailable.
    """
    try:
        return Depth(sum(_messages(path, seconds) for path in folder.glob(f"*{SUFFIX}")), 0)
    except (sqlite3.Error, OSError) as error:
        raise QueueUnavailable(f"the embedded queue cannot be read: {error}") from error


def _messages(path: Path, seconds: float) -> int:
    # Never makes a file: a consumer may be removing this one.
    address = f"{path.absolute().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(address, timeout=seconds, uri=True)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'messages'").fetchone():
                return 0  # its producer is making it just now
            return int(connection.execute("SELECT count(*) FROM messages").fetchone()[0])
    except sqlite3.OperationalError:
        if path.exists():
            raise
        return 0

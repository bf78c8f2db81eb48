"""The embedded queue: one SQLite file for each producer, in one folder, drained by any number of consumers.

Two writers of one file make each other wait for seconds, so each producer start has a file of its own,
named by its producer id. Who owns what is settled by `flock` on empty files beside it (closing a second
handle on the database file itself would drop SQLite's own locks): `.producer` while the producer lives,
`.consumer` while a consumer drains it. A file that is empty and whose producer is gone is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import UUID

from shared.offload import Offload, run_here
from shared.queues import Delivery, NotConfirmed, QueueUnavailable
from shared.write_ahead import use_write_ahead_log

SUFFIX = ".queue"
BUSY_SECONDS = 4.0
PAGE_BYTES = 4096  # SQLite's own default
POLL_SECONDS = 0.01
CLAIM_SECONDS = 0.2
TAKE_MESSAGES = 500
TAKE_BYTES = 4 * 1024 * 1024

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
)
"""


def _connect(path: Path, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    use_write_ahead_log(connection, BUSY_SECONDS)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    # Messages are about people: what is acknowledged is gone from the file, too.
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def _lock(path: Path) -> IO[bytes] | None:
    """The open, locked file, or None if another process (or another owner in this one) holds it."""
    handle = path.open("ab")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return None
    return handle


def _beside(path: Path, owner: str) -> Path:
    return path.with_suffix(f".{owner}")


class SqliteProducer:
    """Appends messages to this producer's own file, each fsynced before `publish` returns.

    With `max_bytes` the file takes no more than that until it is drained, and its messages are not fsynced.
    """

    durability = "embedded"

    def __init__(
        self, folder: Path, producer_id: UUID, offload: Offload = run_here, max_bytes: int | None = None
    ) -> None:
        self._path = folder / f"{producer_id}{SUFFIX}"
        self._offload = offload
        self._max_bytes = max_bytes
        self._connection: sqlite3.Connection | None = None
        self._owned: IO[bytes] | None = None

    def start(self) -> None:
        self._offload(self._open)

    def publish(self, body: bytes, timeout: float) -> None:
        try:
            self._offload(self._append, body, timeout)
        except (sqlite3.Error, OSError) as error:
            raise NotConfirmed(f"the queue file {self._path.name} takes no message: {error}") from error

    def is_ready(self) -> bool:
        return self._connection is not None and os.access(self._path, os.W_OK)

    def close(self) -> None:
        self._offload(self._close)

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._owned = _lock(_beside(self._path, "producer"))
        if self._owned is None:
            raise NotConfirmed(f"the queue file {self._path.name} belongs to another process")
        connection = _connect(self._path, "FULL" if self._max_bytes is None else "NORMAL")
        connection.execute(_SCHEMA)
        if self._max_bytes is not None:
            connection.execute(f"PRAGMA max_page_count = {self._max_bytes // PAGE_BYTES}")
        # SQLite syncs the folder for its journals; for the new database file we do.
        folder = os.open(self._path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self._connection = connection

    def _append(self, body: bytes, timeout: float) -> None:
        if self._connection is None:
            raise NotConfirmed("the queue is not open")
        self._connection.execute(f"PRAGMA busy_timeout = {round(timeout * 1000)}")
        self._connection.execute("INSERT INTO messages (body) VALUES (?)", (body,))

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._owned is not None:
            self._owned.close()
            self._owned = None


@dataclass
class _QueueFile:
    """A file this consumer drains; messages up to `taken` have been handed out."""

    path: Path
    connection: sqlite3.Connection
    owned: IO[bytes]
    taken: int = 0
    forgotten: int = 0

    def fetch(self) -> list[tuple[int, bytes, int]]:
        """The next messages as (id, body, attempts before this one), oldest first."""
        rows: list[tuple[int, bytes, int]] = []
        size = 0
        query = "SELECT id, body, attempts FROM messages WHERE id > ? ORDER BY id LIMIT ?"
        for row in self.connection.execute(query, (self.taken, TAKE_MESSAGES)):
            rows.append(row)
            size += len(row[1])
            if size >= TAKE_BYTES:
                break
        if rows:
            span = (rows[0][0], rows[-1][0])
            self.connection.execute(
                "UPDATE messages SET attempts = attempts + 1 WHERE id BETWEEN ? AND ?", span
            )
            self.taken = rows[-1][0]
        return rows

    def is_empty(self) -> bool:
        return self.connection.execute("SELECT 1 FROM messages LIMIT 1").fetchone() is None

    def forget(self) -> None:
        """Takes what was acknowledged since the last time out of the write-ahead log."""
        if self.taken != self.forgotten:
            self.connection.execute("PRAGMA busy_timeout = 0")
            (is_busy, *_), *_ = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self.connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
            self.forgotten = self.forgotten if is_busy else self.taken

    def close(self) -> None:
        self.connection.close()
        self.owned.close()


class SqliteConsumer:
    """Drains every file of the folder that no other consumer drains.

    A removal is not fsynced: after a power cut a message may come again, which its receipt then shows.
    `now` counts seconds from anywhere; `sleep` takes seconds; `poll_seconds` lie between two looks.
    """

    def __init__(
        self,
        folder: Path,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._folder = folder
        self._poll_seconds = poll_seconds
        self._now = now
        self._sleep = sleep
        self._files: dict[Path, _QueueFile] = {}
        self._ready: deque[Delivery] = deque()
        self._next_claim = self._now()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise QueueUnavailable(f"the queue folder cannot be made: {error}") from error

    def take(self, wait: float) -> Delivery | None:
        deadline = self._now() + wait
        while not self._ready:
            with _translated():
                self._claim_files()
                self._fetch()
            if not self._ready:
                if self._now() >= deadline:
                    return None
                self._sleep(self._poll_seconds)
        return self._ready.popleft()

    def acknowledge(self, deliveries: list[Delivery]) -> None:
        with _translated():
            for path, ids in self._by_file(deliveries).items():
                connection = self._files[path].connection
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("DELETE FROM messages WHERE id = ?", [(number,) for number in ids])
                connection.execute("COMMIT")

    def put_back(self, deliveries: list[Delivery]) -> None:
        again = [Delivery(d.body, d.attempts + 1, d.tag) for d in deliveries]
        self._ready.extendleft(reversed(again))

    def pause(self, seconds: float) -> None:
        self._sleep(seconds)

    def close(self) -> None:
        self._ready.clear()
        for queue_file in self._files.values():
            queue_file.close()
        self._files.clear()

    @staticmethod
    def _place(delivery: Delivery) -> tuple[Path, int]:
        assert isinstance(delivery.tag, tuple)  # noqa: S101 - a delivery of another transport is a bug of ours
        return delivery.tag

    def _by_file(self, deliveries: list[Delivery]) -> dict[Path, list[int]]:
        places: dict[Path, list[int]] = {}
        for delivery in deliveries:
            path, number = self._place(delivery)
            places.setdefault(path, []).append(number)
        return places

    def _claim_files(self) -> None:
        """Now and then: takes on files that no one drains, and removes those that are done with."""
        if self._now() < self._next_claim:
            return
        self._next_claim = self._now() + CLAIM_SECONDS
        for queue_file in list(self._files.values()):
            if queue_file.is_empty():
                queue_file.forget()
                self._remove_if_abandoned(queue_file)
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if path not in self._files:
                self._claim(path)

    def _claim(self, path: Path) -> None:
        owned = _lock(_beside(path, "consumer"))
        if owned is None:
            return
        if not path.exists():  # its last consumer has removed it in between
            _beside(path, "consumer").unlink(missing_ok=True)
            owned.close()
            return
        connection = _connect(path, "NORMAL")
        connection.execute(_SCHEMA)
        self._files[path] = _QueueFile(path, connection, owned)

    def _fetch(self) -> None:
        for path, queue_file in self._files.items():
            rows = queue_file.fetch()
            self._ready.extend(Delivery(body, attempts, (path, number)) for number, body, attempts in rows)

    def _remove_if_abandoned(self, queue_file: _QueueFile) -> None:
        """A producer never comes back to a file of an earlier start, so an empty one is done with."""
        path = queue_file.path
        gone = _lock(_beside(path, "producer"))
        if gone is None:
            return
        if queue_file.is_empty():  # again: the producer may have written before it went
            del self._files[path]
            queue_file.connection.close()
            for leftover in (path, Path(f"{path}-wal"), Path(f"{path}-shm"), _beside(path, "producer")):
                leftover.unlink(missing_ok=True)
            _beside(path, "consumer").unlink(missing_ok=True)
            queue_file.owned.close()
        gone.close()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise QueueUnavailable(f"the embedded queue cannot be read: {error}") from error

"""What the parts of the running system say, kept in a small file under DATA_DIR for `make logs`.

Used by `make run`, so it needs the standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Protocol

MAX_BYTES = 2 * 1024 * 1024  # then the file becomes the old one, and a new one begins
LAST_LINES = 200
POLL_SECONDS = 0.2


class Output(Protocol):
    """Where lines can be written."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


def path_in(root: Path, environment: Mapping[str, str]) -> Path:
    """Where the system of that environment keeps its log."""
    return root / (environment.get("DATA_DIR") or "var") / "run.log"


class RunLog:
    """An output that also keeps what is written in a file, and holds a lock on it while it is open.

    The file comes with the first line. One that cannot be written stops nothing.
    """

    def __init__(self, shown: Output, path: Path) -> None:
        self._shown = shown
        self._path = path
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._keep(text.encode("utf-8", "replace"))
        self._shown.write(text)

    def flush(self) -> None:
        self._shown.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _keep(self, text: bytes) -> None:
        if self._file is not None and self._file.tell() + len(text) > MAX_BYTES:
            self._path.replace(old_of(self._path))
            self.close()
        if self._file is None:
            self._file = self._path.open("ab", buffering=0)
            fcntl.flock(self._file, fcntl.LOCK_SH)
        self._file.write(text)


def old_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def follow(path: Path, output: Output) -> bool:
    """Writes the last LAST_LINES lines and what comes, until the system has stopped; false without a log."""
    try:
        file = path.open("rb")
    except OSError:
        return False
    _write(output, b"".join(_last_lines(path, file)))
    while True:
        # Asked first: what was said before the end is still shown.
        runs = _runs(file)
        if text := file.read():
            _write(output, text)
        elif _is_new(path, file):
            _write(output, file.read())
            file.close()
            file = path.open("rb")
        elif not runs:
            file.close()
            return True
        else:
            time.sleep(POLL_SECONDS)


def _last_lines(path: Path, file: IO[bytes]) -> deque[bytes]:
    lines: deque[bytes] = deque(maxlen=LAST_LINES)
    with contextlib.suppress(OSError), old_of(path).open("rb") as old:
        lines.extend(old)
    lines.extend(file)
    return lines


def _runs(file: IO[bytes]) -> bool:
    """Whether somebody holds the file to write it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _is_new(path: Path, file: IO[bytes]) -> bool:
    """Whether another file has the name by now."""
    try:
        return not os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except OSError:
        return False


def _write(output: Output, text: bytes) -> None:
    output.write(text.decode("utf-8", "replace"))
    output.flush()

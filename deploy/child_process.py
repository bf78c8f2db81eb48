"""One process that the supervisor started: what it says, when it ends, how it is stopped.

Used by `make run` and `make demo`, so it needs the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TextIO

LINES_KEPT = 20
PR_SET_PDEATHSIG = 1


class ChildProcess:
    """A process in a session of its own, so that Ctrl-C in the terminal reaches it through us alone.

    `output` as for `subprocess.Popen`, for its standard output and error; None: where ours go.
    `ends_with_us`: it gets a SIGTERM when we are killed, on Linux; to be used only while we have one
    thread. Raises OSError when the command cannot be executed.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        *,
        output: int | TextIO | None = None,
        stdin: int | None = None,
        ends_with_us: bool = True,
    ) -> None:
        self.name = name
        self.last_lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._reader: threading.Thread | None = None
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=stdin,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            preexec_fn=_end_with_parent() if ends_with_us else None,
        )

    def watch(
        self, ended: Callable[[ChildProcess], None], said: Callable[[ChildProcess, str], None] | None = None
    ) -> None:
        """From now on call `ended` once, and `said` for each line of piped output, in other threads."""
        if self._process.stdout is not None:
            self._reader = threading.Thread(target=self._read, args=(self._process.stdout, said), daemon=True)
            self._reader.start()
        threading.Thread(target=self._wait, args=(ended,), daemon=True).start()

    def _read(self, output: IO[str], said: Callable[[ChildProcess, str], None] | None) -> None:
        with output:
            for line in output:
                self.last_lines.append(line.rstrip("\n"))
                if said is not None:
                    said(self, line.rstrip("\n"))

    def _wait(self, ended: Callable[[ChildProcess], None]) -> None:
        self._process.wait()
        ended(self)

    @property
    def status(self) -> int | None:
        """Its exit status, -n when signal n ended it, None while it runs. It must be watched."""
        return self._process.returncode

    def wait(self, seconds: float | None = None) -> None:
        """Wait for its end, at most `seconds` (None: for ever)."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=seconds)

    def finish_output(self, seconds: float) -> None:
        """Wait until all piped output was read, at most `seconds`: a grandchild may hold the pipe open."""
        if self._reader is not None:
            self._reader.join(seconds)

    def stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        """Send it `by`; when it is over already, send that to what it left behind."""
        if self.status is None:
            self._process.send_signal(by)
        else:
            self._signal_group(by)

    def kill(self) -> None:
        """End it at once with all that it started."""
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, by: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, by)


def _end_with_parent() -> Callable[[], None] | None:
    """What a child calls before it becomes its command; None where the system has no such thing."""
    if sys.platform != "linux":
        return None
    try:
        import ctypes

        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None
    parent = os.getpid()

    def ask_for_signal() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    return ask_for_signal

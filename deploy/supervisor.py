"""Keeps the parts of one system running together: they start together and they stop together.

Used by `make run` and `make demo`, so it needs the standard library only.
"""

from __future__ import annotations

import contextlib
import http.client
import queue
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TextIO

from deploy.child_process import ChildProcess
from deploy.run_log import Output

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_REQUEST_SECONDS = 1.0


class StopRequested(Exception):
    """Somebody asked the system to stop: Ctrl-C, SIGTERM or SIGHUP."""


class KilledOnRequest(Exception):
    """Somebody asked again while the system was stopping: its parts were killed."""


class PartFailed(Exception):
    """The system cannot go on: the reason in one line, and what the part at fault said last."""

    def __init__(self, reason: str, last_lines: Sequence[str] = ()) -> None:
        super().__init__("\n".join([f"{reason}:" if last_lines else reason, *last_lines]))


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the system. It is ready once GET /readyz answers 200 on `port` of 127.0.0.1
    (None: as soon as it runs)."""

    name: str
    command: Sequence[str]
    port: int | None = None


class Supervisor:
    """A context in which the parts of a system run; leaving it stops them all, whatever happened.

    While it is entered the stop signals are its own. A call that waits raises StopRequested when one
    arrives and PartFailed when a part ended by itself. Leaving raises KilledOnRequest when a stop signal
    arrives again while the parts are stopping.

    The first part is the door: it is asked to stop first and has `head_start` seconds before the others
    are asked, so that what it accepted still finds them. `patience` seconds after the stop began, what
    still runs is killed.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        output: Output,
        head_start: float = 5.0,
        patience: float = 12.0,
    ) -> None:
        self._folder = folder
        self._environment = environment
        self._output = output
        self._head_start = head_start
        self._patience = patience
        self._started: list[tuple[Part, ChildProcess]] = []
        self._events: queue.SimpleQueue[signal.Signals | ChildProcess] = queue.SimpleQueue()
        self._asked_at: float | None = None
        self._restore_signals: Callable[[], None] = lambda: None

    def __enter__(self) -> Supervisor:
        self._restore_signals = on_stop_signals(self._events.put)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        children = [child for _, child in self._started]
        try:
            self._stop(children)
        finally:
            for child in children:
                child.kill()
            for child in children:
                child.wait()
                child.finish_output(0.5)
            self._restore_signals()

    def start(self, parts: Sequence[Part]) -> None:
        """Start all parts. Raises PartFailed when a command cannot be executed."""
        width = max(len(part.name) for part in parts)
        try:
            for part in parts:
                child = self._child(part.name, part.command, subprocess.PIPE, stdin=subprocess.DEVNULL)
                self._started.append((part, child))
        finally:
            # Watching takes threads, and forking is safe only before there are any.
            for _, child in self._started:
                child.watch(self._events.put, lambda who, line: self.show(f"{who.name:{width}} | {line}"))

    def wait_until_ready(self, seconds: float) -> None:
        """Return when every part is ready. Raises PartFailed when one is not within `seconds`."""
        give_up_at = time.monotonic() + seconds
        waiting = [(part.port, child) for part, child in self._started if part.port is not None]
        while waiting:
            self._raise_next_event(0.1)
            waiting = [(port, child) for port, child in waiting if not _is_ready(port)]
            if waiting and time.monotonic() > give_up_at:
                port, child = waiting[0]
                reason = f"{child.name} was not ready within {seconds:g} s (GET /readyz on port {port})"
                raise PartFailed(reason, child.last_lines)
        self._raise_next_event(0)

    def watch(self) -> None:
        """Wait until the system has to stop; always raises."""
        while True:
            self._raise_next_event(None)

    def run(self, name: str, command: Sequence[str], output: TextIO | None = None) -> int:
        """Run a command beside the parts until it ends; return its status (128 + n if signal n ended it).

        Its output goes to `output`, or where ours goes. When the system has to stop meanwhile the
        command gets a SIGINT, as Ctrl-C would send it, and is killed if it takes more than 2 s.
        """
        child = self._child(name, command, output, ends_with_us=not self._started)
        child.watch(self._events.put)
        try:
            event = self._events.get()
            if event is not child:
                raise self._meaning(event)
        finally:
            if child.status is None:
                child.stop(by=signal.SIGINT)
                child.wait(2)
            child.kill()
            child.wait()
        status = child.status or 0
        return 128 - status if status < 0 else status

    def show(self, text: str) -> None:
        """Write `text` and a line end to the output in one piece. A closed output stops nothing."""
        with contextlib.suppress(OSError, ValueError):
            self._output.write(f"{text}\n")
            self._output.flush()

    def _child(
        self,
        name: str,
        command: Sequence[str],
        output: int | TextIO | None,
        *,
        stdin: int | None = None,
        ends_with_us: bool = True,
    ) -> ChildProcess:
        try:
            return ChildProcess(
                name,
                command,
                self._folder,
                self._environment,
                output=output,
                stdin=stdin,
                ends_with_us=ends_with_us,
            )
        except OSError as error:
            raise PartFailed(f"{name} could not be started: {error}") from error

    def _raise_next_event(self, seconds: float | None) -> None:
        """Raise what the next event means; return if there is none within `seconds` (None: for ever)."""
        with contextlib.suppress(queue.Empty):
            raise self._meaning(self._events.get(timeout=seconds))

    def _meaning(self, event: signal.Signals | ChildProcess) -> Exception:
        if isinstance(event, signal.Signals):
            self._asked_at = time.monotonic()
            return StopRequested(event.name)
        event.finish_output(1.0)
        status = event.status or 0
        how = f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"
        return PartFailed(f"{event.name} stopped {how}", event.last_lines)

    def _stop(self, children: Sequence[ChildProcess]) -> None:
        began = time.monotonic()
        door, rest = children[:1], children[1:]
        for child in door:
            child.stop()
        self._wait_for(door, until=began + self._head_start)
        for child in rest:
            child.stop()
        self._wait_for(children, until=began + self._patience)
        for child in children:
            if child.status is None:
                self.show(f"{child.name} did not stop within {self._patience:g} s and is killed")

    def _wait_for(self, children: Sequence[ChildProcess], until: float) -> None:
        """Wait for the end of all of them, not past `until`. Raises KilledOnRequest."""
        while any(child.status is None for child in children):
            left = until - time.monotonic()
            if left <= 0:
                return
            with contextlib.suppress(queue.Empty):
                event = self._events.get(timeout=left)
                if isinstance(event, signal.Signals):
                    self._ask_again()

    def _ask_again(self) -> None:
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        # `timeout` and make hand on a signal that the whole process group got already.
        elif now - self._asked_at > SAME_REQUEST_SECONDS:
            raise KilledOnRequest("Stopped at once: asked twice, so the parts were killed")


def on_stop_signals(handle: Callable[[signal.Signals], object]) -> Callable[[], None]:
    """Hand each stop signal to `handle`; the returned function puts back what was there before.

    SIGHUP is left alone where it is ignored, as under nohup.
    """
    previous = {
        number: signal.signal(number, lambda received, frame: handle(signal.Signals(received)))
        for number in STOP_SIGNALS
        if not (number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN)
    }

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    return restore


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

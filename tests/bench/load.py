"""Puts load on an HTTP service over kept connections, from one thread that does little else.

Requests come ready to send, answers are only looked at for their status and where they end, so that the
generator costs a few percent of what it measures.
"""

from __future__ import annotations

import math
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

CONNECTIONS = 64
ANSWER_SECONDS = 20.0
ACCEPTED = b"201"
END_OF_HEAD = b"\r\n\r\n"
LENGTH = b"content-length: "


class WrongAnswer(Exception):
    """The service has answered something else than 201: what."""


@dataclass(slots=True)
class Outcome:
    """What came of a load: requests answered with 201, how long all took, and each of them in seconds."""

    accepted: int = 0
    elapsed: float = 0.0
    latencies: list[float] = field(default_factory=list)


class Answer:
    """Gathers the bytes of one answer after the other."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, chunk: bytes) -> bytes | None:
        """The whole answer once its last byte is there."""
        self._buffer += chunk
        head = self._buffer.find(END_OF_HEAD)
        if head < 0:
            return None
        lowered = self._buffer[:head].lower()
        at = lowered.find(LENGTH)
        length = int(lowered[at + len(LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        end = head + len(END_OF_HEAD) + length
        if len(self._buffer) < end:
            return None
        whole, self._buffer = self._buffer[:end], self._buffer[end:]
        return whole


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    answer: Answer
    begun: float = 0.0


class Load:
    """Some kept connections to the service at `port` of this machine. Use as a context manager."""

    def __init__(self, port: int, connections: int = CONNECTIONS) -> None:
        self._selector = selectors.DefaultSelector()
        self._idle: deque[_Connection] = deque()
        for _ in range(connections):
            opened = _Connection(socket.create_connection(("127.0.0.1", port)), Answer())
            opened.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(opened.socket, selectors.EVENT_READ, opened)
            self._idle.append(opened)
        self._open = connections

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._selector.get_map().values()):
            key.data.socket.close()
        self._selector.close()

    def run(
        self,
        requests: Iterator[bytes],
        *,
        seconds: float = float("inf"),
        count: float = float("inf"),
        rate: float | None = None,
        seen: Callable[[bytes], None] = lambda answer: None,
    ) -> Outcome:
        """Sends for `seconds` or until `count` are sent, then waits for what is open.

        Each connection sends its next request when it has its answer; with `rate`, requests a second, each
        request has its time instead, and its latency counts from then, sent or not. `seen` gets each answer.
        Raises WrongAnswer for anything but 201.
        """
        outcome = Outcome()
        begun = time.perf_counter()
        sent = 0
        while True:
            now = time.perf_counter()
            running = now - begun < seconds and sent < count
            while running and self._idle and sent < count:
                due = now if rate is None else begun + sent / rate
                if due > now:
                    break
                connection = self._idle.popleft()
                connection.begun = due
                connection.socket.sendall(next(requests))
                sent += 1
            if not running and len(self._idle) == self._open:
                break
            wait = ANSWER_SECONDS
            if running and rate is not None:
                wait = max(0.0, begun + sent / rate - time.perf_counter()) if self._idle else wait
            self._read(wait, outcome, seen)
        outcome.elapsed = time.perf_counter() - begun
        return outcome

    def _read(self, wait: float, outcome: Outcome, seen: Callable[[bytes], None]) -> None:
        ready = self._selector.select(wait)
        if not ready and wait == ANSWER_SECONDS:
            raise WrongAnswer(f"no answer for {wait:.0f} s")
        for key, _ in ready:
            connection: _Connection = key.data
            chunk = connection.socket.recv(262_144)
            if not chunk:
                raise WrongAnswer("the connection was closed")
            answer = connection.answer.feed(chunk)
            if answer is None:
                continue
            if answer[9:12] != ACCEPTED:
                raise WrongAnswer(f"not 201: {answer[:600].decode(errors='replace')}")
            outcome.latencies.append(time.perf_counter() - connection.begun)
            outcome.accepted += 1
            self._idle.append(connection)
            seen(answer)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that so many percent of them do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]

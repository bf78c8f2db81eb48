"""The API as a client sees it: keep-alive connections that wait when they are told to.

Speaks HTTP only, and knows nothing of the services behind it.
"""

from __future__ import annotations

import json
import select
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

TRIES, LONGEST_PAUSE, ANSWER_TIMEOUT = 5, 120.0, 30.0


@dataclass(frozen=True)
class Answer:
    """One HTTP answer: its JSON object, the seconds it asks to wait, and the seconds it took."""

    status: int
    body: dict[str, Any]
    retry_after: float | None
    seconds: float

    def __str__(self) -> str:
        return f"{self.status} {self.body.get('message', '')}".rstrip()


class Connection:
    """One keep-alive connection to the API, for one thread at a time."""

    def __init__(self, url: str, token: str = "") -> None:
        self._http = HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_TIMEOUT)
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        self._http.close()

    def ask(self, method: str, path: str, body: object = None, key: str = "") -> Answer:
        """Make one request; after 429 or 503 wait as Retry-After says and repeat it, 5 tries in all.

        Raises OSError or HTTPException if there is no whole answer, or one that is no JSON object.
        """
        for _ in range(TRIES - 1):
            answer = self._ask_once(method, path, body, key)
            if answer.status not in (429, 503) or answer.retry_after is None:
                return answer
            time.sleep(answer.retry_after)
        return self._ask_once(method, path, body, key)

    def _ask_once(self, method: str, path: str, body: object, key: str) -> Answer:
        # A quiet connection with something to read was closed by the server, with no request on its way. One
        # that is lost later may have carried the request, so nothing is sent again then.
        if self._http.sock is not None and select.select([self._http.sock], [], [], 0)[0]:
            self._http.close()
        headers = self._headers | ({"Idempotency-Key": key} if key else {})
        payload = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        begun = time.perf_counter()
        try:
            self._http.request(method, path, payload, headers)
            response = self._http.getresponse()
            content = response.read()
        except (OSError, HTTPException):
            self._http.close()
            raise
        seconds = time.perf_counter() - begun
        pause = pause_of(response.getheader("Retry-After"))
        return Answer(response.status, json_object(content), pause, seconds)


def connections(url: str, token: str, count: int) -> SimpleQueue[Connection]:
    """So many connections to take from and put back; each opens when it is first used."""
    idle: SimpleQueue[Connection] = SimpleQueue()
    for _ in range(count):
        idle.put(Connection(url, token))
    return idle


def close_all(idle: SimpleQueue[Connection]) -> None:
    while not idle.empty():
        idle.get().close()


def pause_of(retry_after: str | None) -> float | None:
    """Seconds to wait; None if the header is missing, no plain number, or longer than a demo should wait."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds <= LONGEST_PAUSE else None


def json_object(content: bytes) -> dict[str, Any]:
    """The object that the content holds. Raises HTTPException if it holds anything else."""
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise HTTPException(f"the answer is no JSON object: {content[:60]!r}")
    return value

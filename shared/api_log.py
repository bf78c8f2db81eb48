"""The log of every API exchange, on its way from the web process to the consumer's queue.

A request only leaves references in a buffer. A thread (under gevent, a greenlet) redacts and publishes what
has gathered there. What does not fit in, or finds no queue, is dropped and counted: a log never delays or
fails a request.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Flask, Response
from uuid_utils.compat import uuid7

from shared.current import current_g, current_request
from shared.exchanges import Exchange, encode_exchange, encode_exchanges
from shared.queues import NotConfirmed, Producer
from shared.redaction import (
    LIMIT_BYTES,
    READ_BYTES,
    are_harmless,
    redacted_body,
    redacted_query,
    redacted_text,
)
from shared.times import utc_now

log = logging.getLogger("leadgate.api_log")

# Neither calls of the API nor of interest: health, metrics, documents, the pages' own files.
LEFT_OUT = (
    "/livez",
    "/readyz",
    "/metrics",
    "/api/docs",
    "/api/openapi.json",
    "/admin/api/docs",
    "/admin/api/openapi.json",
    "/admin/static",
)
# Routes whose bodies are credentials and little else: of these, what is no JSON is not kept at all.
CONFIDENTIAL = ("/api/login_check", "/admin/api/user")
LOGS_THEMSELVES = "/admin/api/logs"
NOT_KEPT = "[NOT KEPT: answers with logs in them would be logged over and over]"
QUERY_CHARACTERS = 4096

BUFFER_EXCHANGES = 5_000
BUFFER_BYTES = 32 * 1024 * 1024
GATHER_SECONDS = 0.25
MESSAGE_EXCHANGES = 200
MESSAGE_BYTES = 512 * 1024
AT_ONCE = 20  # how many are encoded before other greenlets have their turn
PUBLISH_SECONDS = 2.0
STOP_SECONDS = 2.0
COMPLAIN_SECONDS = 30.0


@dataclass(slots=True)
class Noted:
    """What a request leaves behind, as it stands; the bodies are cut where they are too long to read."""

    received_at: datetime
    took: float
    request_id: str
    method: str
    path: str
    query: str
    content_type: str
    payload: bytes | None
    payload_size: int
    client_id: int | None
    address: str
    user_agent: str
    status: int
    body: bytes | None
    body_size: int


class ApiLog:
    """One an app: notes its exchanges, and publishes them to the queue `api-logs` until it is stopped.

    `keeps` is `full`, `errors` (status 400 and above) or `off`. `elapsed` counts seconds from anywhere.
    """

    def __init__(self, producer: Producer, keeps: str, elapsed: Callable[[], float] = time.monotonic) -> None:
        self.dropped = 0  # exchanges, since the process began
        self._producer = producer
        self._lowest_status = {"full": 0, "errors": 400}.get(keeps)
        self._elapsed = elapsed
        self._buffer: deque[Noted] = deque()
        self._bytes = 0
        self._complained_at = float("-inf")
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="api-log", daemon=True)

    def init_app(self, app: Flask) -> None:
        """Notes every exchange of `app`; to be called before whatever else looks at requests."""
        app.extensions["leadgate.api_log"] = self
        if self._lowest_status is not None:
            app.before_request(_begin)
            app.after_request(self._note)

    def start(self) -> None:
        if self._lowest_status is not None:
            try:
                self._producer.start()
            except Exception as error:  # it will not be ready, so what comes is dropped
                log.warning("the queue for API logs cannot be opened: %s", error)
            self._thread.start()

    def stop(self) -> None:
        """Publishes what was noted, within STOP_SECONDS."""
        if self._thread.is_alive():
            self._closing.set()
            self._thread.join(timeout=STOP_SECONDS + PUBLISH_SECONDS)
            self._producer.close()

    def _note(self, response: Response) -> Response:
        path = current_request().path
        if response.status_code >= (self._lowest_status or 0) and not path.startswith(LEFT_OUT):
            if len(self._buffer) >= BUFFER_EXCHANGES or self._bytes >= BUFFER_BYTES:
                self._drop(1, "the buffer is full")
                return response
            try:
                noted = _noted(path, response)
            except Exception as error:
                self._drop(1, f"{type(error).__name__}: {error}")
                return response
            self._bytes += _size(noted)
            self._buffer.append(noted)
        return response

    def _run(self) -> None:
        while not self._closing.wait(GATHER_SECONDS):
            self._publish_until(float("inf"))
        self._publish_until(self._elapsed() + STOP_SECONDS)
        if self._buffer:
            self._drop(len(self._buffer), "the service is stopping")

    def _publish_until(self, deadline: float) -> None:
        """Publishes all that was noted, as long as there is a queue for it."""
        while self._buffer and self._producer.is_ready() and self._elapsed() < deadline:
            exchanges = self._next_exchanges()
            try:
                self._producer.publish(encode_exchanges(exchanges), PUBLISH_SECONDS)
            except NotConfirmed as error:
                self._drop(len(exchanges), str(error))
            except Exception as error:
                log.exception("exchanges cannot be published")
                self._drop(len(exchanges), f"{type(error).__name__}: {error}")
        if not self._buffer:
            self._bytes = 0

    def _next_exchanges(self) -> Sequence[bytes]:
        """What goes into the next message, redacted and encoded."""
        encoded: list[bytes] = []
        size = 0
        while self._buffer and len(encoded) < MESSAGE_EXCHANGES and size < MESSAGE_BYTES:
            few = self._next_few(min(AT_ONCE, MESSAGE_EXCHANGES - len(encoded)))
            is_harmless = are_harmless(body for noted in few for body in (noted.payload, noted.body))
            for noted in few:
                try:
                    encoded.append(encode_exchange(_exchange(noted, is_harmless)))
                except Exception as error:
                    log.exception("an exchange cannot be encoded")
                    self._drop(1, f"{type(error).__name__}: {error}")
                else:
                    size += len(encoded[-1])
            time.sleep(0)  # gevent: requests go first
        return encoded

    def _next_few(self, most: int) -> list[Noted]:
        """At least one, then as many as together have no more than LIMIT_BYTES in their bodies."""
        few: list[Noted] = []
        size = 0
        while self._buffer and len(few) < most:
            size += _size(self._buffer[0])
            if few and size > LIMIT_BYTES:
                break
            few.append(self._buffer.popleft())
            self._bytes -= _size(few[-1])
        return few

    def _drop(self, number: int, why: str) -> None:
        self.dropped += number
        now = self._elapsed()
        if now - self._complained_at >= COMPLAIN_SECONDS:
            self._complained_at = now
            log.warning("%d API exchanges were not logged so far: %s", self.dropped, why)


def _begin() -> None:
    current_g().received = (utc_now(), time.perf_counter())


def _noted(path: str, response: Response) -> Noted:
    kept = current_g()
    received_at, began = kept.received
    environ = current_request().environ
    payload: bytes | None = kept.get("body")
    chunks = response.response
    # A list is an answer that is made already; anything else is streamed, and not ours to read.
    body = b"".join(chunks) if isinstance(chunks, list) else None
    user = kept.get("user")
    return Noted(
        received_at,
        time.perf_counter() - began,
        kept.request_id,
        environ["REQUEST_METHOD"],
        path,
        environ.get("QUERY_STRING", ""),
        environ.get("CONTENT_TYPE", ""),
        _beginning(payload),
        len(payload or b""),
        None if user is None else user.id,
        environ.get("REMOTE_ADDR", "unknown"),
        environ.get("HTTP_USER_AGENT", ""),
        response.status_code,
        _beginning(body),
        len(body or b""),
    )


def _beginning(body: bytes | None) -> bytes | None:
    """The body, or the first of one that is too long to read."""
    return body if body is None or len(body) <= READ_BYTES else body[:LIMIT_BYTES]


def _size(noted: Noted) -> int:
    return len(noted.payload or b"") + len(noted.body or b"")


def _exchange(noted: Noted, is_harmless: bool) -> Exchange:
    is_confidential = noted.path.startswith(CONFIDENTIAL)
    payload = body = None
    if noted.payload:
        size = noted.payload_size
        payload = redacted_body(
            noted.payload,
            size,
            noted.content_type,
            only_objects=is_confidential,
            is_harmless=is_harmless,
        )
    if noted.body:
        is_log = noted.path.startswith(LOGS_THEMSELVES)
        body = NOT_KEPT if is_log else redacted_body(noted.body, noted.body_size, is_harmless=is_harmless)
    return Exchange(
        id=uuid7(),
        received_at=noted.received_at,
        request_id=noted.request_id,
        method=noted.method[:16],
        endpoint=redacted_text(noted.path, 255),
        query=redacted_query(noted.query)[:QUERY_CHARACTERS] if noted.query else None,
        payload=payload,
        client_id=noted.client_id,
        address=noted.address[:64],
        user_agent=redacted_text(noted.user_agent, 255) or None,
        status=noted.status,
        body=body,
        duration_us=round(noted.took * 1_000_000),
    )

"""gunicorn's gevent worker, but for four things.

When it stops, it does not wait for quiet connections: gunicorn waits `graceful_timeout` for every open one
and then kills the worker, so one client that keeps its connection would be enough to cut off what is done at
a clean stop. What is no HTTP request gets its error in our one shape, not as HTML. An answer leaves in one
piece. And before it closes a connection it reads what is left of the body: closed with bytes unread, TCP
resets it, and the client that is still sending too long a body sees a broken connection in place of 413.
"""

from __future__ import annotations

import contextlib
import http
import uuid
from collections.abc import Iterator
from types import FrameType
from typing import Any

import gevent
import orjson
from gunicorn.http import wsgi
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.ggevent import GeventWorker

_STATUS = {LimitRequestLine: 414, LimitRequestHeaders: 431}
LAST_SECONDS = 1.0  # for the request of a connection that was accepted just before the end
# What is read of a body that nobody wants any more; who sends more than that is cut off.
UNREAD_SECONDS, UNREAD_BYTES, READ_BYTES = 2.0, 64 * 1024 * 1024, 64 * 1024


class _Response(wsgi.Response):  # type: ignore[misc]
    """gunicorn's, which sends the headers and then the body: 25 µs more than both at once."""

    headers_sent: bool

    def write(self, arg: bytes) -> None:
        if self.headers_sent or self._omits_body or len(arg) != self.response_length:
            super().write(arg)
            return
        lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
        self.headers_sent = True
        self.sent = len(arg)
        self.sock.sendall("".join(lines).encode("latin-1") + arg)


class WebWorker(GeventWorker):  # type: ignore[misc]
    """The worker class of both services."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._quiet: dict[Any, gevent.Timeout] = {}

    def init_process(self) -> None:
        wsgi.Response = _Response  # where `wsgi.create` looks; there is no other place to say so
        super().init_process()

    @contextlib.contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """Around the wait for a connection's next request; left early, it closes the connection."""
        connection = gevent.getcurrent()
        seconds = self.cfg.keepalive if self.alive else LAST_SECONDS
        with gevent.Timeout(seconds, False) as end:  # type: ignore[arg-type]  # False: raise nothing
            self._quiet[connection] = end
            try:
                yield
            finally:
                del self._quiet[connection]

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        gevent.spawn(self._close_quiet)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        try:
            return super().handle_request(listener_name, req, sock, addr)
        except StopIteration:  # the connection is closed now
            _read_rest(req.body)
            raise

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answers what gunicorn could not read as a request."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        status = http.HTTPStatus(_STATUS.get(type(exc), 400))
        message = f"This is no HTTP request that can be answered: {exc}"
        body = orjson.dumps({"status": "error", "code": status, "message": message})
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            "Connection: close\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"X-Request-ID: {uuid.uuid4().hex}\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            client.sendall(head.encode() + body)

    def _close_quiet(self) -> None:
        for connection, end in list(self._quiet.items()):
            gevent.kill(connection, end)


def _read_rest(body: Any) -> None:
    """Reads to the end of a request's body, if it has one soon."""
    read = 0
    with contextlib.suppress(Exception), gevent.Timeout(UNREAD_SECONDS, False):  # type: ignore[arg-type]
        while read < UNREAD_BYTES and (some := body.read(READ_BYTES)):
            read += len(some)

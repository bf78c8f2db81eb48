"""gunicorn's gevent worker, but for five things.

When it stops, it does not wait for quiet connections: gunicorn waits `graceful_timeout` for every open one
and then kills the worker, so one client that keeps its connection would be enough to cut off what is done at
a clean stop. What is no HTTP request gets its error in our one shape, not as HTML. An answer leaves in one
piece. And before it closes a connection it reads what is left of the body: closed with bytes unread, TCP
resets it, and the client that is still sending too long a body sees a broken connection in place of 413.
And what is the same for every request is found out once: docs/decisions/0008-what-taking-a-lead-costs.md.
"""

from __future__ import annotations

import contextlib
import http
import time
import uuid
from functools import lru_cache
from types import FrameType, TracebackType
from typing import Any

import gevent
import orjson
from gunicorn import util
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.http.message import Request, _ip_in_allow_list
from gunicorn.http.parser import RequestParser
from gunicorn.workers.ggevent import GeventWorker

# The names of the headers of an answer, in their order, where gunicorn took them as they were.
_plain_names: set[tuple[str, ...]] = set()
MAX_NAMES = 256
_STATUS = {LimitRequestLine: 414, LimitRequestHeaders: 431}
LAST_SECONDS = 1.0  # for the request of a connection that was accepted just before the end
LOOK_SECONDS = 0.5  # between looks for connections that were quiet for too long
# What is read of a body that nobody wants any more; who sends more than that is cut off.
UNREAD_SECONDS, UNREAD_BYTES, READ_BYTES = 2.0, 64 * 1024 * 1024, 64 * 1024


class _Request(Request):  # type: ignore[misc]
    """gunicorn's, which takes the peer's address apart anew for each request: 8 µs."""

    def _peer_is_trusted_proxy(self) -> bool:
        peer = self.peer_addr
        return not isinstance(peer, tuple) or _is_trusted(peer[0], self.cfg)


@lru_cache(maxsize=1024)
def _is_trusted(address: str, cfg: Config) -> bool:
    """Whether gunicorn believes what is said from there in headers of proxies."""
    return bool(_ip_in_allow_list(address, cfg.forwarded_allow_ips, cfg.forwarded_allow_networks()))


class _Response(wsgi.Response):  # type: ignore[misc]
    """gunicorn's, which sends the headers and then the body: 25 µs more than both at once."""

    headers_sent: bool

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        """Names that were looked at once are not looked at again, and values all at once: 1 µs, not 5."""
        names = tuple([name for name, _ in headers])
        if names in _plain_names and wsgi.HEADER_VALUE_RE.fullmatch("".join([value for _, value in headers])):
            self.headers = list(headers)
            self.response_length = int(headers[names.index("Content-Length")][1])
            return
        super().process_headers(headers)
        # It has kept them all, so none of them is for it.
        if len(self.headers) == len(names) and "Content-Length" in names and len(_plain_names) < MAX_NAMES:
            _plain_names.add(names)

    def write(self, arg: bytes) -> None:
        if self.headers_sent or self._omits_body or self.upgrade or len(arg) != self.response_length:
            super().write(arg)
            return
        major, minor = self.req.version
        head = (
            f"HTTP/{major}.{minor} {self.status}\r\nServer: {self.version}\r\n"
            f"Date: {_date(int(time.time()))}\r\n"
            f"Connection: {'close' if self.should_close() else 'keep-alive'}\r\n"
        )
        lines = [f"{name}: {value}\r\n" for name, value in self.headers]
        self.headers_sent = True
        self.sent = len(arg)
        answer = f"{head}{''.join(lines)}\r\n".encode("latin-1") + arg
        # Most answers go out at once; `sendall` looks for the size of the buffer first, 4 µs.
        sent = self.sock.send(answer)
        if sent < len(answer):
            self.sock.sendall(answer[sent:])


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return str(util.http_date(second))


class _Quiet:
    """Connections that wait for their next request, and until when they may.

    Entered around that wait; `end` leaves those whose time is up, and so closes them. A timer for each
    request, as gevent's Timeout has, would be 6 µs.
    """

    def __init__(self) -> None:
        self._ends: dict[Any, float] = {}
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._ends[gevent.getcurrent()] = time.monotonic() + self.seconds

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        del self._ends[gevent.getcurrent()]
        return kind is _TooQuiet

    def end(self, at: float) -> None:
        """Of those that may wait until `at` or shorter. To be called by the hub, as timers are."""
        for connection in [connection for connection, end in self._ends.items() if end <= at]:
            if connection in self._ends:  # none has got its request meanwhile
                connection.throw(_TooQuiet)


class _TooQuiet(BaseException):
    """Raised in the wait for a connection's next request."""


class WebWorker(GeventWorker):  # type: ignore[misc]
    """The worker class of both services."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._quiet = _Quiet()

    def init_process(self) -> None:
        # Where gunicorn looks for them; there is no other place to say so.
        wsgi.Response = _Response
        RequestParser.mesg_class = _Request
        same_for_all = wsgi.base_environ(self.cfg)
        wsgi.base_environ = lambda _: same_for_all.copy()
        # In place of a search among all settings each time one is asked for, 40 times a request: 18 µs.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        super().init_process()

    def run(self) -> None:
        look = gevent.get_hub().loop.timer(LOOK_SECONDS, repeat=LOOK_SECONDS)
        look.start(lambda: self._quiet.end(time.monotonic()))
        super().run()

    def timeout_ctx(self) -> _Quiet:
        """Around the wait for a connection's next request; left early, it closes the connection."""
        self._quiet.seconds = self.cfg.keepalive if self.alive else LAST_SECONDS
        return self._quiet

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        gevent.get_hub().loop.run_callback(self._quiet.end, float("inf"))

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


def _read_rest(body: Any) -> None:
    """Reads to the end of a request's body, if it has one soon."""
    read = 0
    with contextlib.suppress(Exception), gevent.Timeout(UNREAD_SECONDS, False):  # type: ignore[arg-type]
        while read < UNREAD_BYTES and (some := body.read(READ_BYTES)):
            read += len(some)

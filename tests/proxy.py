"""A TCP proxy in front of a real server, so that a test can take the server away and give it back."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit


class Proxy:
    """Passes connections on to the server that `url` names; use it as a context manager.

    The server's own state is untouched by `cut`, `stall` and `restore`: only this way to it is gone.
    """

    def __init__(self, url: str, default_port: int) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or default_port)
        self._flowing = threading.Event()
        self._flowing.set()
        self._open: set[socket.socket] = set()
        self._changing = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.bytes_to_client = 0
        self._listener = _listen_anywhere()
        self.port: int = self._listener.getsockname()[1]
        self._accept_from(self._listener)

    def instead_of(self, url: str) -> str:
        """`url`, by way of the proxy."""
        parts = urlsplit(url)
        login, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{login}{at}127.0.0.1:{self.port}").geturl()

    def cut(self) -> None:
        """Breaks every connection and refuses new ones."""
        _shut(self._listener)
        self._listener.close()
        self._break_connections()

    def stall(self) -> None:
        """Keeps every connection, but nothing gets through any more, and nobody answers a new one."""
        self._flowing.clear()

    def restore(self) -> None:
        """Lets everything through again, first what was held up; connections that were cut stay so."""
        self._flowing.set()
        if self._listener.fileno() < 0:
            self._listener = _listen(self.port)
            self._accept_from(self._listener)

    def close(self) -> None:
        self.cut()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _break_connections(self) -> None:
        with self._changing:
            for end in self._open:
                _shut(end)
        self._flowing.set()  # whoever holds something up finds its connection broken

    def _accept_from(self, listener: socket.socket) -> None:
        self._start(threading.Thread(target=self._accept, args=[listener], name="proxy"))

    def _start(self, thread: threading.Thread) -> None:
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._flowing.wait()
            try:
                server = socket.create_connection(self._server, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changing:
                self._open |= {client, server}
            if listener.fileno() < 0:  # cut in between
                self._break_connections()
            self._start(threading.Thread(target=self._connect, args=[client, server], name="proxy"))

    def _connect(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=self._pump, args=[server, client, True], name="proxy")
        back.start()
        self._pump(client, server, False)
        back.join()
        with self._changing:
            self._open -= {client, server}
        client.close()
        server.close()

    def _pump(self, source: socket.socket, sink: socket.socket, to_client: bool) -> None:
        with contextlib.suppress(OSError):  # cut
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
                if to_client:
                    with self._changing:
                        self.bytes_to_client += len(data)
        _shut(source)
        _shut(sink)


def _listen_anywhere() -> socket.socket:
    while True:
        try:
            return _listen(random.randint(20000, 32000))
        except OSError:
            continue


def _listen(port: int) -> socket.socket:
    """Below the ports that clients get, so that none of them holds ours when we want it back."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    listener.listen()
    return listener


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)

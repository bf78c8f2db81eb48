"""How long it takes until an accepted lead can be read back, by sampling some."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from queue import Empty

from deploy.api_connection import Connection, close_all, connections

WATCHERS = 2


class QueryableTimer:
    """Times how long accepted leads take until they are found by id, on threads of its own."""

    def __init__(self, url: str, token: str, wait: float) -> None:
        self.seconds: list[float] = []
        self._query = f"wait={min(10, math.ceil(wait))}"
        self._stop = threading.Event()
        self._idle = connections(url, token, WATCHERS)
        self._threads = ThreadPoolExecutor(WATCHERS)

    def start(self, lead_id: str) -> None:
        """Time a lead accepted just now, if a thread is free: one that had to wait would look slow."""
        try:
            connection = self._idle.get_nowait()
        except Empty:
            return
        self._threads.submit(self._time, connection, lead_id, time.perf_counter())

    def close(self) -> None:
        """Return once no request is open. A lead not found by then is not counted."""
        self._stop.set()
        self._threads.shutdown()
        close_all(self._idle)

    def _time(self, connection: Connection, lead_id: str, begun: float) -> None:
        try:
            while not self._stop.is_set():
                if connection.ask("GET", f"/api/leads/{lead_id}?{self._query}").status == 200:
                    self.seconds.append(time.perf_counter() - begun)
                    return
                self._stop.wait(0.02)
        finally:
            self._idle.put(connection)

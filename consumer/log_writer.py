"""Drains the queue `api-logs` beside the leads, in a thread of its own that leaves most of the time to them.

A log may be lost, so what cannot be stored is dropped and counted, and whatever goes wrong here is logged and
tried again: it never stops the leads.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from consumer.log_erasing import without_erased
from shared.database import blames_the_data, in_short, upsert, writing
from shared.erasures import Erased, Erasures
from shared.exchanges import Exchange, decode_exchanges
from shared.messages import Undecodable
from shared.models import api_request_logs, api_response_logs
from shared.queues import Consumer as Queue
from shared.queues import Delivery, QueueUnavailable

log = logging.getLogger("leadgate.log_writer")

WRITE_EXCHANGES = 1000
TAKE_SECONDS = 0.5
REST_SECONDS = 0.1  # at least, after each transaction
BACK_OFF_SECONDS = (0.2, 5.0)  # first and longest wait
STOP_SECONDS = 2.0


class ErasedMeanwhile(Exception):
    """Write the same again: somebody in it may have been erased."""


class LogWriter:
    """Runs beside the consumer from `start` to `stop`, however often queue and database come and go.

    `open_queue` opens the queue or raises QueueUnavailable.
    """

    def __init__(
        self, open_queue: Callable[[], Queue], engine: Engine, erasures: Erasures | None = None
    ) -> None:
        self.dropped = 0  # messages and exchanges that could not be stored
        self._open_queue = open_queue
        self._engine = writing(engine)
        self._erasures = erasures
        self._wait = BACK_OFF_SECONDS[0]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends once what is being written is committed and acknowledged, or after STOP_SECONDS."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                queue = self._open_queue()
                try:
                    self._drain(queue)
                finally:
                    queue.close()
            except QueueUnavailable as error:
                log.warning("waiting for the queue of API logs: %s", error)
            except ErasedMeanwhile:
                log.info("API logs are written anew, because somebody is being erased")
            except SQLAlchemyError as error:
                log.warning("API logs are not written yet, trying again: %s", in_short(error))
            except Exception:
                log.exception("API logs are not written")
            self._stopping.wait(self._wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
            self._wait = min(self._wait * 2, BACK_OFF_SECONDS[1])

    def _drain(self, queue: Queue) -> None:
        """Until we are stopped; what is raised in between leaves all that was taken to come again."""
        while not self._stopping.is_set():
            deliveries, exchanges = self._take(queue)
            if not deliveries:
                continue
            began = time.monotonic()
            self.write(exchanges)
            queue.acknowledge(deliveries)
            self._wait = BACK_OFF_SECONDS[0]
            # Half of the time at most: the leads want the database, and this process, too.
            queue.pause(max(REST_SECONDS, time.monotonic() - began))

    def _take(self, queue: Queue) -> tuple[list[Delivery], list[Exchange]]:
        """What is there now, up to about WRITE_EXCHANGES; waits TAKE_SECONDS for the first."""
        deliveries: list[Delivery] = []
        exchanges: list[Exchange] = []
        while len(exchanges) < WRITE_EXCHANGES:
            delivery = queue.take(0 if deliveries else TAKE_SECONDS)
            if delivery is None:
                break
            deliveries.append(delivery)
            try:
                exchanges += decode_exchanges(delivery.body)
            except Undecodable as error:
                self._drop(1, str(error))
        return deliveries, exchanges

    def write(self, exchanges: Sequence[Exchange]) -> None:
        """Commits `exchanges`, each once however often it comes, and drops what cannot be stored.

        Raises SQLAlchemyError when the same should be tried again.
        """
        try:
            self._insert(exchanges)
        except Exception as error:
            if _may_pass(error):
                raise
            for exchange in exchanges:
                self._write_alone(exchange)

    def _write_alone(self, exchange: Exchange) -> None:
        try:
            self._insert([exchange])
        except Exception as error:
            if _may_pass(error):
                raise
            self._drop(1, in_short(error))

    def _insert(self, exchanges: Sequence[Exchange]) -> None:
        # Sorted by key: two consumers that write the same ones wait for each other and never deadlock.
        ordered = sorted(exchanges, key=lambda exchange: (exchange.received_at, exchange.id.bytes))
        first = ordered[0].received_at if ordered else None
        with self._engine.begin() as connection:
            erased = self._erased(connection, first)
            ordered = without_erased(ordered, erased)
            upsert(connection, api_request_logs, [_request(exchange) for exchange in ordered])
            upsert(connection, api_response_logs, [_response(exchange) for exchange in ordered])
            # Last: whoever erases from now on finds what we have written (shared/erasures.py).
            if self._erased(connection, first).moments != erased.moments:
                raise ErasedMeanwhile

    def _erased(self, connection: Connection, moment: datetime | None) -> Erased:
        return Erased() if self._erasures is None else self._erasures.after(connection, moment)

    def _drop(self, number: int, why: str) -> None:
        self.dropped += number
        log.warning("an API log is dropped, the %d. so far: %s", self.dropped, why)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, ErasedMeanwhile):
        return True
    return isinstance(error, SQLAlchemyError) and not blames_the_data(error)


def _request(exchange: Exchange) -> dict[str, Any]:
    return {
        "received_at": exchange.received_at,
        "id": exchange.id,
        "request_id": exchange.request_id,
        "method": exchange.method,
        "endpoint": exchange.endpoint,
        "query": exchange.query,
        "payload": exchange.payload,
        "client_id": exchange.client_id,
        "address": exchange.address,
        "user_agent": exchange.user_agent,
    }


def _response(exchange: Exchange) -> dict[str, Any]:
    return {
        "received_at": exchange.received_at,
        "id": exchange.id,
        "status": exchange.status,
        "body": exchange.body,
        "duration_us": exchange.duration_us,
    }

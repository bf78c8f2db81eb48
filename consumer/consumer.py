"""The loop: take what is there, write it in one transaction, acknowledge after the commit."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from consumer.writer import NotWritten, Writer
from shared.messages import Batch, Undecodable, decode_batch
from shared.queues import Consumer as Queue
from shared.queues import Delivery, QueueUnavailable

log = logging.getLogger("leadgate.consumer")

WRITE_LEADS = 1000
WRITE_BYTES = 4 * 1024 * 1024
TAKE_SECONDS = 0.5
# From the beginning of a transaction to that of the next, unless that is full before: one of a single lead
# costs as much as 80 leads do in a larger one. What comes after a quiet moment does not wait.
GATHER_SECONDS = 0.075
BACK_OFF_SECONDS = (0.2, 5.0)  # first and longest wait
# From the look for the first message, so long may others take that are on the line already: pika reads 100 KB
# at a time, and a message of 500 leads, which has more, would go into a transaction of its own.
READ_SECONDS = 0.005
# A batch that has been delivered this often before is written alone: if it is what kills consumers, it
# takes no healthy one with it.
SUSPECT_ATTEMPTS = 2


@dataclass(slots=True)
class _Taken:
    """What goes into one transaction."""

    deliveries: list[Delivery] = field(default_factory=list)
    batches: list[tuple[Batch, int]] = field(default_factory=list)  # with the deliveries before this one
    broken: list[tuple[Delivery, str]] = field(default_factory=list)
    leads: int = 0
    size: int = 0

    def add(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        self.size += len(delivery.body)
        try:
            batch = decode_batch(delivery.body)
        except Undecodable as error:
            log.warning("a message is parked: %s", error)
            self.broken.append((delivery, str(error)))
        else:
            self.batches.append((batch, delivery.attempts))
            self.leads += len(batch.leads)

    def is_full(self) -> bool:
        return self.leads >= WRITE_LEADS or self.size >= WRITE_BYTES


class Consumer:
    """Runs until it is stopped, however often queue and database come and go.

    `open_queue` opens the queue or raises QueueUnavailable; `sleep` takes seconds, `elapsed` counts them from
    anywhere.
    """

    def __init__(
        self,
        open_queue: Callable[[], Queue],
        writer: Writer,
        sleep: Callable[[float], None] = time.sleep,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_queue = open_queue
        self._writer = writer
        self._sleep = sleep
        self._elapsed = elapsed
        self._stopping = False
        self._gather_until = elapsed()
        self._held: Delivery | None = None  # taken, but to be written in a transaction of its own

    def stop(self) -> None:
        """Lets `run` return once what is being written is committed and acknowledged."""
        self._stopping = True

    def run(self) -> None:
        """Raises NewerSchema when a message was written by a newer version; it stays in the queue."""
        wait = BACK_OFF_SECONDS[0]
        while not self._stopping:
            try:
                queue = self._open_queue()
            except QueueUnavailable as error:
                log.warning("waiting for the queue: %s", error)
                self._sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
                wait = min(wait * 2, BACK_OFF_SECONDS[1])
                continue
            wait = BACK_OFF_SECONDS[0]
            log.info("taking leads from the queue")
            try:
                self._drain(queue)
            except QueueUnavailable as error:
                log.warning("the queue is gone, what was not acknowledged comes again: %s", error)
            finally:
                self._held = None
                queue.close()
            if not self._stopping:
                self._sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret

    def _drain(self, queue: Queue) -> None:
        while not self._stopping:
            self._await_database(queue)
            taken = self._take(queue)
            if taken.deliveries and self._write(queue, taken):
                queue.acknowledge(taken.deliveries)

    def _take(self, queue: Queue) -> _Taken:
        """Up to WRITE_LEADS and WRITE_BYTES of what is there.

        Waits TAKE_SECONDS for the first message, and sleeps until GATHER_SECONDS after the last transaction
        began while others gather.
        """
        taken, read_until = _Taken(), self._elapsed() + READ_SECONDS
        while not self._stopping and not taken.is_full():
            delivery, self._held = self._held, None
            patience = max(read_until - self._elapsed(), 0.0) if taken.deliveries else TAKE_SECONDS
            delivery = delivery or queue.take(patience)
            if delivery is None:
                pause = self._gather_until - self._elapsed()
                if not taken.deliveries or pause <= 0:
                    break
                # Waiting in the queue we would be woken for each message.
                self._sleep(pause)
                continue
            suspect = delivery.attempts >= SUSPECT_ATTEMPTS
            if suspect and taken.deliveries:
                self._held = delivery
                break
            taken.add(delivery)
            if suspect:
                break
        if taken.deliveries:
            self._gather_until = self._elapsed() + GATHER_SECONDS
        return taken

    def _write(self, queue: Queue, taken: _Taken) -> bool:
        """Commits what was taken, as often as it takes; False if we are to stop before it could be."""
        wait = BACK_OFF_SECONDS[0]
        while True:
            try:
                self._writer.write(taken.batches, taken.broken)
            except NotWritten as error:
                log.warning("not written yet, trying again: %s", error)
            else:
                return True
            if self._stopping:
                return False
            queue.pause(wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
            wait = min(wait * 2, BACK_OFF_SECONDS[1])

    def _await_database(self, queue: Queue) -> None:
        """Takes nothing while the database is gone: a message taken then would only be delivered again."""
        wait = BACK_OFF_SECONDS[0]
        while not self._stopping:
            try:
                self._writer.ping()
            except NotWritten as error:
                log.warning("waiting for the database: %s", error)
                queue.pause(wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
                wait = min(wait * 2, BACK_OFF_SECONDS[1])
            else:
                return

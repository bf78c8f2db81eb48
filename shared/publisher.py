"""Makes leads durable: everything that waits while one message is on its way becomes the next message.

At low load a message has one lead and waits for nothing; under load messages grow by themselves, and the
cost of confirming and delivering one is shared. docs/how-a-lead-travels.md has the rules behind the numbers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from uuid import UUID

from shared.messages import Header, encode_batch
from shared.predecessors import Records
from shared.queues import NotConfirmed, Producer

log = logging.getLogger("leadgate.publisher")

CONFIRM_SECONDS = 5.0
BATCH_LEADS = 1000
BATCH_BYTES = 1024 * 1024
QUIET_SECONDS = 30.0


class _Waiting:
    """The leads of one request, encoded, until they are durable or given up."""

    __slots__ = ("deadline", "failure", "leads", "size", "undecided")

    def __init__(self, leads: Sequence[bytes], deadline: float) -> None:
        self.leads = leads
        self.size = sum(map(len, leads))
        self.deadline = deadline
        self.failure: str | None = None
        # Released once it is decided. An Event is a lock, a condition and its list of waiting locks: 20 µs.
        self.undecided = threading.Lock()
        self.undecided.acquire()


class Publisher:
    """One a worker process: numbers its messages 1, 2, 3 … and has one of them on its way at a time.

    A number is never used for other leads. A message that was given up is named in `voids` of those that
    follow, until one of them is confirmed. After `quiet_seconds` without a lead the consumers are told that
    all is settled; `records` keep that for the case that we cannot, and as often we look for those of dead
    producers. `elapsed` counts seconds from anywhere.
    """

    def __init__(
        self,
        producer: Producer,
        producer_id: UUID,
        elapsed: Callable[[], float] = time.monotonic,
        quiet_seconds: float = QUIET_SECONDS,
        records: Records | None = None,
    ) -> None:
        self._producer = producer
        self._records = records
        self._look_for_dead_at = 0.0
        self._producer_id = producer_id
        self._elapsed = elapsed
        self._quiet_seconds = quiet_seconds
        self._waiting: deque[_Waiting] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._entrance = threading.Lock()  # nobody comes in behind the one who locks up
        self._sequence = 0
        self._settled_leads = 0
        self._announced = 0  # the highest settled number that a confirmed message has carried
        self._voids: tuple[int, ...] = ()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    @property
    def durability(self) -> str:
        return self._producer.durability

    def start(self) -> None:
        """Begins to connect and to publish; after fork, in the worker that accepts."""
        self._producer.start()
        if self._records is not None:
            self._records.start()
        self._thread.start()

    def is_ready(self) -> bool:
        """Whether a lead could be made durable now."""
        return not self._closing and self._producer.is_ready()

    def accept(self, leads: Sequence[bytes]) -> None:
        """Returns once all `leads`, as `encode_lead` makes them, are durable; they share one message.

        Raises NotConfirmed if that cannot be had within CONFIRM_SECONDS. Then none of them is accepted;
        they may be stored all the same, at most once.
        """
        waiting = _Waiting(leads, self._elapsed() + CONFIRM_SECONDS)
        with self._entrance:
            if self._closing:
                raise NotConfirmed("the service is stopping")
            self._waiting.append(waiting)
        if not self._wake.is_set():
            self._wake.set()
        waiting.undecided.acquire()
        if waiting.failure is not None:
            raise NotConfirmed(waiting.failure)

    def stop(self) -> None:
        """Publishes what waits and a checkpoint, then closes the producer; at most about CONFIRM_SECONDS."""
        with self._entrance:
            self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2 * CONFIRM_SECONDS)
        self._producer.close()
        if self._records is not None and not self._thread.is_alive():
            self._records.close(is_announced=self._announced == self._sequence)

    def _run(self) -> None:
        while True:
            self._look_for_dead()
            if not self._waiting:
                if self._closing:
                    break
                self._wake.clear()
                # Looked at once more after clear: what came in between has set the flag too early.
                if not self._waiting and not self._closing and not self._wake.wait(self._quiet_seconds):
                    self._checkpoint()
                continue
            self._publish(self._next_batch())
        self._checkpoint()

    def _next_batch(self) -> list[_Waiting]:
        """The requests that share the next message, in the order they came; one request is never split."""
        batch: list[_Waiting] = []
        leads = size = 0
        while self._waiting:
            first = self._waiting[0]
            if batch and (leads + len(first.leads) > BATCH_LEADS or size + first.size > BATCH_BYTES):
                break
            self._waiting.popleft()
            if first.deadline <= self._elapsed():
                _settle([first], "the queue has been too slow")
                continue
            batch.append(first)
            leads += len(first.leads)
            size += first.size
        return batch

    def _publish(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        self._sequence += 1
        header = self._header(self._sequence, settled_through=self._sequence - 1)
        leads = [lead for waiting in batch for lead in waiting.leads]
        failure = self._send(header, leads, batch[0].deadline - self._elapsed())
        if failure is None:
            self._has_announced(header)
            self._settled_leads += len(leads)
        else:
            self._voids += (self._sequence,)
            log.warning("message %d with %d leads is given up: %s", self._sequence, len(leads), failure)
        if self._records is not None:  # before the answer, so that it names whatever was answered
            self._records.note(self._sequence, self._settled_leads, self._voids)
        _settle(batch, failure)

    def _checkpoint(self) -> None:
        """Tells the consumers that every number so far is settled, if no message has told them yet."""
        if self._announced < self._sequence:
            header = self._header(0, settled_through=self._sequence)
            failure = self._send(header, [], CONFIRM_SECONDS)
            if failure is None:
                self._has_announced(header)
            else:
                log.warning("a checkpoint is put off: %s", failure)

    def _look_for_dead(self) -> None:
        """Now and then: tells the consumers what dead producers of this host had settled."""
        if self._records is None or self._elapsed() < self._look_for_dead_at:
            return
        self._look_for_dead_at = self._elapsed() + self._quiet_seconds
        self._records.announce_dead(lambda header: self._send(header, [], CONFIRM_SECONDS) is None)

    def _header(self, sequence: int, settled_through: int) -> Header:
        return Header(self._producer_id, sequence, settled_through, self._settled_leads, self._voids)

    def _has_announced(self, header: Header) -> None:
        self._announced = header.settled_through
        self._voids = ()

    def _send(self, header: Header, leads: Sequence[bytes], timeout: float) -> str | None:
        """Publishes one message; the reason if it is not confirmed within `timeout` seconds."""
        try:
            self._producer.publish(encode_batch(header, leads), timeout)
        except NotConfirmed as error:
            return str(error)
        except Exception as error:
            # Without this thread every request would wait for ever; this one fails, and the log says why.
            log.exception("message %d of %s cannot be published", header.sequence, header.producer_id)
            return f"{type(error).__name__}: {error}"
        return None


def _settle(batch: list[_Waiting], failure: str | None) -> None:
    for waiting in batch:
        waiting.failure = failure
        waiting.undecided.release()

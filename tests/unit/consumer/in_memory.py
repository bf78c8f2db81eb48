"""A consumer with a queue in memory and a real database, and ways to make either fail."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from uuid import uuid4

from sqlalchemy import Engine, select

from consumer.consumer import Consumer
from consumer.writer import NotWritten, Writer
from shared.messages import Batch
from shared.models import leads
from shared.queues import Delivery
from tests.factories import make_batch, make_lead, message
from tests.fakes import FakeQueue

GONE = NotWritten("the database is gone")


class RecordingWriter(Writer):
    """The real writer. Before each call it asks `before`, which may raise what the call is to fail with."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.written: list[list[Batch]] = []
        self.before_ping: Callable[[], None] = lambda: None
        self.before_write: Callable[[], None] = lambda: None
        self.after_write: Callable[[], None] = lambda: None

    def ping(self) -> None:
        self.before_ping()
        super().ping()

    def write(
        self, batches: Sequence[tuple[Batch, int]], broken: Sequence[tuple[Delivery, str]] = ()
    ) -> None:
        self.before_write()
        super().write(batches, broken)
        self.written.append([batch for batch, _ in batches])
        self.after_write()


class Failing:
    """Fails the first `times` it is asked."""

    def __init__(self, error: Exception, times: int, each_time: Callable[[], None] = lambda: None) -> None:
        self.error = error
        self.times = times
        self.each_time = each_time

    def __call__(self) -> None:
        if self.times:
            self.times -= 1
            self.each_time()
            raise self.error


class System:
    """A consumer over queues in memory and a real database; it stops when a queue is empty and
    all is acknowledged."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.writer = RecordingWriter(engine)
        self.queues: list[FakeQueue] = []
        self.opening: Callable[[], None] = lambda: None
        self.sleeps: list[float] = []
        self.now = 0.0
        self.consumer = Consumer(self._open, self.writer, self._sleep, lambda: self.now)

    def _open(self) -> FakeQueue:
        self.opening()
        return next(queue for queue in self.queues if queue.is_open)

    def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    def queue(self, *bodies: bytes) -> FakeQueue:
        """A queue that is opened once those before it are closed."""
        queue = FakeQueue(*bodies)

        def stop_if_all_is_acknowledged() -> None:
            if not queue.unacknowledged:
                self.consumer.stop()

        queue.when_empty = stop_if_all_is_acknowledged
        self.queues.append(queue)
        return queue

    def let_come(self, queue: FakeQueue, *bodies: tuple[float, bytes]) -> None:
        """Each of `bodies` comes at its time, and time passes while they are waited for; after the last one
        the consumer stops."""
        coming = deque(bodies)

        def let_time_pass() -> None:
            wait = queue.waits[-1]
            if wait and not coming:
                self.consumer.stop()
            elif wait:
                self.now = min(max(self.now, coming[0][0]), self.now + wait)
            while coming and coming[0][0] <= self.now:
                _, body = coming.popleft()
                queue.waiting.append(Delivery(body, 0, body))

        queue.when_empty = let_time_pass

    def stored(self) -> set[str]:
        """The emails of the leads in the database."""
        with self.engine.connect() as connection:
            found = connection.scalars(select(leads.c.email)).all()
        assert len(found) == len(set(found))
        return set(found)


def batches_of(*emails: str) -> list[Batch]:
    """A batch with one lead for each email, all of one producer."""
    producer_id = uuid4()
    return [
        make_batch([make_lead(email=email)], producer_id=producer_id, sequence=number)
        for number, email in enumerate(emails, start=1)
    ]


def messages_of(*emails: str) -> list[bytes]:
    return [message(batch) for batch in batches_of(*emails)]

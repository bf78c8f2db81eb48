"""Stand-ins with the real method names, for tests that are not about the real thing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from shared.messages import Batch, decode_batch
from shared.queues import Delivery, NotConfirmed, QueueUnavailable


class FakeProducer:
    """Keeps what is published. `refuse` makes every publish fail with that reason; while `gate` is cleared
    publishes wait for it, at most for their timeout."""

    durability = "broker"

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.refuse: str | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.publishing = threading.Semaphore(0)  # released as each publish begins
        self.is_open = False

    def start(self) -> None:
        self.is_open = True

    def publish(self, body: bytes, timeout: float) -> None:
        self.publishing.release()
        if not self.gate.wait(timeout):
            raise NotConfirmed("too slow")
        if self.refuse is not None:
            raise NotConfirmed(self.refuse)
        self.bodies.append(body)

    def is_ready(self) -> bool:
        return self.is_open and self.refuse is None

    def close(self) -> None:
        self.is_open = False

    def batches(self) -> list[Batch]:
        """What was published, decoded."""
        return [decode_batch(body) for body in self.bodies]


class FakeQueue:
    """A queue in memory, for one consumer. With `gone` set every call raises QueueUnavailable; `when_empty`
    is called by each take that finds nothing, and may bring what it waits for."""

    def __init__(self, *bodies: bytes) -> None:
        self.waiting: deque[Delivery] = deque(Delivery(body, 0, number) for number, body in enumerate(bodies))
        self.acknowledged: list[bytes] = []
        self.unacknowledged: list[Delivery] = []
        self.pauses: list[float] = []
        self.waits: list[float] = []  # how long each take would have waited
        self.gone: str | None = None
        self.when_empty: Callable[[], None] = lambda: None
        self.is_open = True

    def take(self, wait: float) -> Delivery | None:
        self._check()
        self.waits.append(wait)
        if not self.waiting:
            self.when_empty()
        if not self.waiting:
            return None
        delivery = self.waiting.popleft()
        self.unacknowledged.append(delivery)
        return delivery

    def acknowledge(self, deliveries: list[Delivery]) -> None:
        self._check()
        for delivery in deliveries:
            self.unacknowledged.remove(delivery)
            self.acknowledged.append(delivery.body)

    def put_back(self, deliveries: list[Delivery]) -> None:
        self._check()
        for delivery in reversed(deliveries):
            self.unacknowledged.remove(delivery)
            self.waiting.appendleft(Delivery(delivery.body, delivery.attempts + 1, delivery.tag))

    def pause(self, seconds: float) -> None:
        self._check()
        self.pauses.append(seconds)

    def close(self) -> None:
        self.is_open = False

    def _check(self) -> None:
        if self.gone is not None:
            raise QueueUnavailable(self.gone)


class FakeElapsed:
    """Seconds that pass only when they are told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds

"""A producer whose messages a test writes or loses, and what reconciliation then says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine

from admin_service.reconciliation import AskDepth, reconcile
from consumer.writer import Writer
from shared.messages import Batch
from shared.queues import Depth, QueueUnavailable
from tests.factories import NOON, make_batch, make_lead

DRAINED = Depth(0, 0)


class Past:
    """Messages of one producer, of `size` leads each, that were written at noon."""

    def __init__(self, engine: Engine, size: int = 2) -> None:
        self.engine = engine
        self.id: UUID = uuid4()
        self.size = size

    def batch(self, number: int, *, voids: tuple[int, ...] = (), given_up: int = 0) -> Batch:
        """A message that says all before it is settled, `given_up` of them without effect."""
        settled_leads = (number - 1 - given_up) * self.size
        leads = [make_lead() for _ in range(self.size)]
        return self._batch(leads, number, number - 1, settled_leads, voids)

    def checkpoint(self, settled_through: int, *, voids: tuple[int, ...] = (), given_up: int = 0) -> Batch:
        settled_leads = (settled_through - given_up) * self.size
        return self._batch([], 0, settled_through, settled_leads, voids)

    def _batch(
        self, leads: list[Any], sequence: int, through: int, settled_leads: int, voids: tuple[int, ...]
    ) -> Batch:
        return make_batch(
            leads,
            producer_id=self.id,
            sequence=sequence,
            settled_through=through,
            settled_leads=settled_leads,
            voids=voids,
        )

    def writes(self, *numbers: int) -> None:
        """Messages with these numbers are written; all others are lost on the way."""
        self.write(*[self.batch(number) for number in numbers])

    def write(self, *batches: Batch, at: timedelta = timedelta()) -> None:
        """These are written, so long after noon, each in a transaction of its own."""
        writer = Writer(self.engine, lambda: NOON + at)
        for batch in batches:
            writer.write([(batch, 0)])


def reconciled(
    engine: Engine,
    *,
    seconds: float = 61,
    depth: Depth | QueueUnavailable | AskDepth = DRAINED,
    page: int = 1,
    limit: int = 10,
) -> dict[str, Any]:
    """What reconciliation says so many seconds after noon, with that in the queues."""

    def ask() -> Depth:
        if isinstance(depth, QueueUnavailable):
            raise depth
        return depth if isinstance(depth, Depth) else depth()

    return reconcile(engine, ask, lambda: NOON + timedelta(seconds=seconds), page, limit)


def gaps(item: dict[str, Any]) -> list[tuple[int, int]]:
    return [(gap["first"], gap["last"]) for gap in item["gaps"]]

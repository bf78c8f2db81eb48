"""Keeps tables small beside the consumer: old receipts become ranges, old counts of minutes go.

Every consumer does it, so each step is one short transaction that finds its work done where another was
faster.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Row, Select, delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from shared.database import writing
from shared.models import MINUTES_KEPT, lead_batches, lead_counts, lead_producers
from shared.times import Clock, utc_now

log = logging.getLogger("leadgate.maintenance")

COMPACT_AFTER = timedelta(minutes=15)
EVERY_SECONDS = 60.0
STEP_ROWS = 1000
STOP_SECONDS = 5.0

_receipt = lead_batches.c
_SUMMED = ("leads", "stored", "duplicate", "quarantined", "erased", "repeated")


class Maintenance:
    """Does its work in a thread of its own, each time `every_seconds` have passed."""

    def __init__(self, engine: Engine, now: Clock = utc_now, every_seconds: float = EVERY_SECONDS) -> None:
        self._reading = engine
        self._writing = writing(engine)
        self._now = now
        self._every_seconds = every_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)

    def start(self) -> None:
        """Begins, in the process that consumes."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the step at hand."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def compact_receipts(self) -> int:
        """Makes one receipt of those that follow each other, are settled and older than COMPACT_AFTER; the
        number of rows that are gone."""
        before = self._now() - COMPACT_AFTER
        producers = (
            select(lead_producers.c.producer_id, lead_producers.c.settled_through)
            .join_from(lead_batches, lead_producers, lead_producers.c.producer_id == _receipt.producer_id)
            .where(_receipt.stored_at < before)
            .group_by(lead_producers.c.producer_id, lead_producers.c.settled_through)
            .having(func.count() > 1)
        )
        with self._reading.connect() as connection:
            found = connection.execute(producers).all()
        return sum(self._compact(row.producer_id, row.settled_through, before) for row in found)

    def expire_minutes(self) -> int:
        """Removes counts of minutes that are not kept any more; how many."""
        counts = lead_counts.c
        old = (counts.grain == "minute") & (counts.bucket < self._now() - MINUTES_KEPT)
        with self._writing.begin() as connection:
            return connection.execute(delete(lead_counts).where(old)).rowcount

    def _run(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            try:
                receipts, minutes = self.compact_receipts(), self.expire_minutes()
            except SQLAlchemyError as error:
                cause = getattr(error, "orig", None) or error
                log.warning("maintenance is put off: %s", f"{cause}".splitlines()[0])
            else:
                log.debug("%d receipts compacted, %d minutes expired", receipts, minutes)

    def _compact(self, producer_id: UUID, settled_through: int, before: datetime) -> int:
        start = gone = 0
        while not self._stopping.is_set():
            statement: Select[Any] = (
                select(_receipt.sequence, _receipt.last_sequence, _receipt.void)
                .where(_receipt.producer_id == producer_id, _receipt.sequence >= start)
                .where(_receipt.last_sequence <= settled_through, _receipt.stored_at < before)
                .order_by(_receipt.sequence)
                .limit(STEP_ROWS)
            )
            with self._reading.connect() as connection:
                rows = connection.execute(statement).all()
            for run in _runs(rows):
                start = run[0].sequence  # it may go on behind these rows
                if len(run) > 1:
                    gone += self._merge(producer_id, run[0].sequence, run[-1].sequence)
            if len(rows) < STEP_ROWS:
                break
        return gone

    def _merge(self, producer_id: UUID, first: int, last: int) -> int:
        """Makes one receipt of those that begin from `first` to `last`; how many are gone."""
        of_run = (_receipt.producer_id == producer_id) & _receipt.sequence.between(first, last)
        with self._writing.begin() as connection:
            # Locked and read again: another consumer may have made one of them by now.
            rows = connection.execute(
                select(lead_batches).where(of_run).order_by(_receipt.sequence).with_for_update()
            ).all()
            if len(rows) < 2 or len(list(_runs(rows))) > 1:
                return 0
            head = rows[0].sequence
            connection.execute(delete(lead_batches).where(of_run, _receipt.sequence > head))
            connection.execute(
                update(lead_batches).where(of_run, _receipt.sequence == head).values(_sum_of(rows))
            )
        return len(rows) - 1


def _runs(rows: Sequence[Row[Any]]) -> Iterator[list[Row[Any]]]:
    """Receipts in a row that follow each other without a gap, voids apart from others."""
    run: list[Row[Any]] = []
    for row in rows:
        if run and (row.sequence != run[-1].last_sequence + 1 or row.void != run[-1].void):
            yield run
            run = []
        run.append(row)
    if run:
        yield run


def _sum_of(rows: Sequence[Row[Any]]) -> dict[str, Any]:
    """The columns of the one receipt for all these."""
    received = [row.first_received_at for row in rows if row.first_received_at is not None]
    return {name: sum(getattr(row, name) for row in rows) for name in _SUMMED} | {
        "last_sequence": rows[-1].last_sequence,
        "first_received_at": min(received, default=None),
        "stored_at": max(row.stored_at for row in rows),
    }

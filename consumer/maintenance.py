"""Keeps tables small beside the consumer: old receipts become ranges, old counts of minutes and keys of
duplicates go.

Every consumer does it, so each step is one short transaction that finds its work done where another was
faster.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Row, Select, delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from consumer.claims import of_keys
from shared.database import among, writing
from shared.models import MINUTES_KEPT, duplicate_keys, lead_batches, lead_counts, lead_producers
from shared.times import Clock, utc_now

log = logging.getLogger("leadgate.maintenance")

COMPACT_AFTER = timedelta(minutes=15)
EVERY_SECONDS = 60.0
# Keys of duplicates are kept for so long behind the window: of messages that waited in a queue meanwhile
# duplicates are found as if they had come at once.
LATE = timedelta(days=3)
STEP_ROWS = 1000
STEPS_A_ROUND = 100  # of keys: where years of them go at first, writers keep most of the disk
STOP_SECONDS = 5.0

_receipt = lead_batches.c
_key = duplicate_keys.c
_SUMMED = ("leads", "stored", "duplicate", "quarantined", "erased", "repeated")


class Maintenance:
    """Does its work in a thread of its own, each time `every_seconds` have passed; `duplicate_window` is that
    of the writers."""

    def __init__(
        self,
        engine: Engine,
        duplicate_window: timedelta,
        now: Clock = utc_now,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        self._reading = engine
        self._duplicate_window = duplicate_window
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

    def expire_duplicate_keys(self) -> int:
        """Removes keys that no lead can be a duplicate of any more, LATE behind the window; how many, which
        are STEP_ROWS * STEPS_A_ROUND at most."""
        before = self._now() - self._duplicate_window - LATE
        gone = 0
        for _ in range(STEPS_A_ROUND):
            found = self._oldest_duplicate_keys(before)
            gone += self._expire(found, before)
            if len(found) < STEP_ROWS or self._stopping.is_set():
                break
        return gone

    def _oldest_duplicate_keys(self, before: datetime) -> list[dict[str, Any]]:
        """Keys from before that moment, sorted as those of writers are."""
        oldest = (
            select(_key.client_id, _key.email_hash)
            .where(_key.received_at < before)
            .order_by(_key.received_at)
            .limit(STEP_ROWS)
        )
        with self._reading.connect() as connection:
            found = sorted((row.client_id, bytes(row.email_hash)) for row in connection.execute(oldest))
        return [{"client_id": client_id, "email_hash": email_hash} for client_id, email_hash in found]

    def _expire(self, keys: Sequence[Mapping[str, Any]], before: datetime) -> int:
        gone = 0
        with self._writing.begin() as connection:
            for some in of_keys(connection, duplicate_keys, keys):
                # Locked and read again: a writer may have given the key to a new lead by now.
                rows = connection.execute(
                    select(_key.lead_id, _key.received_at).where(some).with_for_update()
                ).all()
                old = [row.lead_id for row in rows if row.received_at < before]
                if old:
                    those = among(connection, _key.lead_id, old)
                    gone += connection.execute(delete(duplicate_keys).where(some, those)).rowcount
        return gone

    def _run(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            try:
                receipts, minutes = self.compact_receipts(), self.expire_minutes()
                keys = self.expire_duplicate_keys()
            except SQLAlchemyError as error:
                cause = getattr(error, "orig", None) or error
                log.warning("maintenance is put off: %s", f"{cause}".splitlines()[0])
            else:
                log.debug("%d receipts compacted, %d minutes, %d keys expired", receipts, minutes, keys)

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

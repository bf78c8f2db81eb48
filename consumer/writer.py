"""The transaction: receipts, keys, duplicates, leads, counts, all or nothing. Whoever acknowledges afterwards
loses nothing."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from consumer.counts import count_rows
from consumer.duplicates import Duplicates
from consumer.erased_leads import drop_erased, erased_meanwhile, with_erased
from consumer.idempotency import settle_keys
from consumer.lead_rows import LeadsRefused, Place, Spot, find_refused, insert_leads, places_of
from consumer.quarantine import park, quarantine_lead, quarantine_message
from consumer.receipts import claim_receipts, correct_receipts, keep_producers
from consumer.replays import mark_replayed, settle_replays
from shared.database import in_short, upsert, writing
from shared.erasures import Erasures
from shared.messages import Batch
from shared.models import FEED_DELAY_SECONDS, lead_counts
from shared.queues import Delivery
from shared.times import Clock, utc_now

# From the stamp of the leads to the commit. The rest of FEED_DELAY_SECONDS is for the commit itself: a
# second for us to send it (WRITER_SESSION) and one for the database.
COMMIT_SECONDS = FEED_DELAY_SECONDS - 2.0

# For so long after a commit the database is taken to be there: to ask costs a seventh of what a transaction
# of 85 leads does.
PING_SECONDS = 1.0

# Of a consumer's connections. Who holds a lock for longer holds it for very long: we come back later. And
# MariaDB rolls back what a frozen consumer has left open, since its commit would come too late.
WRITER_SESSION = "innodb_lock_wait_timeout = 2 /*M!, idle_write_transaction_timeout = 1 */"


class NotWritten(Exception):
    """Write the same again, later: the database is gone, or another writer was faster; says which."""


class TooSlow(NotWritten):
    """Committed now, the leads would be missed by who reads them as they are stored."""


class Writer:
    """Writes batches to the database, each once.

    Without `duplicates` no lead is one, without `erasures` none was erased. `elapsed` counts seconds from
    anywhere.
    """

    def __init__(
        self,
        engine: Engine,
        now: Clock = utc_now,
        *,
        duplicates: Duplicates | None = None,
        erasures: Erasures | None = None,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = writing(engine)
        self._reading = engine
        self._erasures = erasures
        self._duplicates = duplicates
        self._now = now
        self._elapsed = elapsed
        self._ahead = 0.0
        self._kept: Connection | None = None  # from a commit to the next transaction
        self._committed_at = 0.0

    def ping(self) -> None:
        """Raises NotWritten if the database does not answer. That it has committed just now is an answer."""
        if self._kept is not None:
            if self._elapsed() - self._committed_at < PING_SECONDS:
                return
            self._kept.close()
            self._kept = None
        try:
            with self._reading.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            raise NotWritten(in_short(error)) from error

    def write(
        self, batches: Sequence[tuple[Batch, int]], broken: Sequence[tuple[Delivery, str]] = ()
    ) -> None:
        """Commits `batches` (each with the deliveries before this one) and parks `broken` messages.

        Raises NotWritten when nothing was committed and the same should be tried again.
        """
        refused: dict[Spot, str] = {}
        try:
            while not self._is_written(batches, broken, refused):
                pass
        except SQLAlchemyError as error:
            raise NotWritten(in_short(error)) from error

    def _is_written(
        self,
        batches: Sequence[tuple[Batch, int]],
        broken: Sequence[tuple[Delivery, str]],
        refused: dict[Spot, str],
    ) -> bool:
        """One try, which quarantines the leads in `refused`; if the database refuses more, they are added."""
        try:
            with self._transaction() as connection:
                self._write(connection, batches, broken, refused)
        except LeadsRefused as error:
            found = find_refused(self._engine, error.places)
            if not found:
                raise NotWritten(f"refused, and then not: {in_short(error.__cause__ or error)}") from error
            refused |= found
            return False
        return True

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """On the connection of the last one, if that was committed: to give it back to the pool and to take
        it out again are two round trips."""
        connection, self._kept = self._kept or self._engine.connect(), None
        try:
            with connection.begin():
                yield connection
        except BaseException:
            connection.close()
            raise
        self._kept, self._committed_at = connection, self._elapsed()

    def _write(
        self,
        connection: Connection,
        batches: Sequence[tuple[Batch, int]],
        broken: Sequence[tuple[Delivery, str]],
        refused: Mapping[Spot, str],
    ) -> None:
        began, stored_at = self._elapsed(), self._now() + datetime.timedelta(seconds=self._ahead)
        receipts = claim_receipts(connection, batches, stored_at)
        places = places_of(receipts, stored_at, refused)
        erased = erased_meanwhile(connection, self._erasures, places)
        drop_erased(connection, places, erased)
        # Rows of quarantine before keys, as an erasure locks them too (admin_service/erasing.py).
        left = settle_replays(connection, places)
        settle_keys(connection, [place for place in places if not place.is_erased])
        good = [place for place in places if place.fault is None and place.is_written]
        if self._duplicates is not None:
            self._duplicates.mark(connection, [place.row for place in good])
        insert_leads(connection, good)
        _count_in_receipts(places)
        correct_receipts(connection, receipts, stored_at)
        unsaid = with_erased(connection, self._erasures, broken)
        park(connection, self._parked(places, broken, unsaid, stored_at))
        mark_replayed(connection, good, stored_at)
        keep_producers(connection, batches, stored_at)
        counted = [place for place in places if place.is_written]
        upsert(connection, lead_counts, count_rows(counted, left), add=["leads"])
        # Last: whoever erases from now on finds what we have written (shared/erasures.py).
        is_same = erased_meanwhile(connection, self._erasures, places).moments == erased.moments
        if not is_same or with_erased(connection, self._erasures, broken) != unsaid:
            raise NotWritten("somebody is being erased")
        self._refuse_if_late(self._elapsed() - began)

    def _parked(
        self,
        places: Sequence[Place],
        broken: Sequence[tuple[Delivery, str]],
        unsaid: Container[int],
        stored_at: datetime.datetime,
    ) -> list[dict[str, Any]]:
        """Rows of `quarantined_leads`; of the messages in `unsaid` nothing is kept but that they came."""
        rows = [
            quarantine_message(
                delivery.body, why, delivery.attempts + 1, stored_at, is_kept=index not in unsaid
            )
            for index, (delivery, why) in enumerate(broken)
        ]
        for place in places:
            if place.fault is None:
                continue
            row = quarantine_lead(
                place.lead, place.id, place.reason, place.fault, place.receipt.attempts + 1, stored_at
            )
            email = place.lead.content.get("email")
            if isinstance(email, str) and self._erasures is not None:
                row["email_hash"] = self._erasures.hashes(email)
            rows.append(row)
        return rows

    def _refuse_if_late(self, took: float) -> None:
        """Raises TooSlow `took` seconds after the stamp, if that is too late to commit.

        A stamp is as good as it is close to the commit: the next one is put ahead by what this try took.
        """
        late = took - self._ahead > COMMIT_SECONDS
        self._ahead = took if took > COMMIT_SECONDS else 0.0
        if late:
            raise TooSlow(f"too slow: {took:.1f} seconds since the stamp, {COMMIT_SECONDS:g} are allowed")


def _count_in_receipts(places: Sequence[Place]) -> None:
    for place in places:
        status = place.status
        if status == "stored":
            continue
        if status == "duplicate":
            place.receipt.duplicate += 1
        elif status == "quarantined":
            place.receipt.quarantined += 1
        elif status == "repeated":
            place.receipt.repeated += 1
        elif status == "erased":
            place.receipt.erased += 1

"""The transaction: receipt, leads, counts, all or nothing. Whoever acknowledges afterwards loses nothing.

A batch whose receipt is there already is left out, so a message may come as often as it likes.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, Engine, func, insert, literal, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from consumer.quarantine import quarantine_lead, quarantine_message
from shared.columns import sort_key
from shared.database import blames_the_data, in_short, upsert, writing
from shared.messages import Batch, Lead
from shared.models import lead_batches, lead_counts, lead_producers, leads, quarantined_leads
from shared.queues import Delivery
from shared.times import Clock, utc_now

EVER = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)  # the one bucket of the grain `all`


class NotWritten(Exception):
    """Write the same again, later: the database is gone, or another writer was faster; says which."""


@dataclass(slots=True)
class _Receipt:
    """What becomes of one number of a producer."""

    producer_id: UUID
    sequence: int
    batch: Batch | None  # None: the number was given up
    attempts: int = 0
    quarantined: int = 0

    def row(self, stored_at: datetime.datetime) -> dict[str, Any]:
        of_batch = self.batch.leads if self.batch else []
        return {
            "producer_id": self.producer_id,
            "sequence": self.sequence,
            "last_sequence": self.sequence,
            "void": self.batch is None,
            "leads": len(of_batch),
            "stored": len(of_batch) - self.quarantined,
            "duplicate": 0,
            "quarantined": self.quarantined,
            "erased": 0,
            "first_received_at": min((lead.received_at for lead in of_batch), default=None),
            "stored_at": stored_at,
        }


@dataclass(slots=True)
class _Place:
    """A lead's place in its batch, and its row of `leads`."""

    receipt: _Receipt
    index: int
    lead: Lead
    row: dict[str, Any] = field(default_factory=dict)


class Writer:
    """Writes batches to the database, each once."""

    def __init__(self, engine: Engine, now: Clock = utc_now) -> None:
        self._engine = writing(engine)
        self._reading = engine
        self._now = now

    def ping(self) -> None:
        """Raises NotWritten if the database does not answer."""
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
        try:
            with self._engine.begin() as connection:
                self._write(connection, batches, broken)
        except SQLAlchemyError as error:
            raise NotWritten(in_short(error)) from error

    def _write(
        self,
        connection: Connection,
        batches: Sequence[tuple[Batch, int]],
        broken: Sequence[tuple[Delivery, str]],
    ) -> None:
        stored_at = self._now()
        receipts = _without_receipt(connection, batches)
        if receipts:
            # First of all: if another consumer writes one of them too, one of us waits here and fails.
            connection.execute(insert(lead_batches), [receipt.row(stored_at) for receipt in receipts])
        parked = [
            quarantine_message(delivery.body, why, delivery.attempts + 1, stored_at)
            for delivery, why in broken
        ]
        counts: Counter[tuple[int, bool, str, datetime.datetime]] = Counter()
        for place, fault in self._insert_leads(connection, receipts, stored_at):
            lead = place.lead
            test = lead.content.get("test") is True
            counts[lead.client_id, test, "quarantined" if fault else "stored", lead.received_at] += 1
            if fault:
                place.receipt.quarantined += 1
                parked.append(
                    quarantine_lead(
                        lead,
                        fault,
                        (place.receipt.producer_id, place.receipt.sequence, place.index),
                        place.receipt.attempts + 1,
                        stored_at,
                    )
                )
        for receipt in receipts:
            if receipt.quarantined:
                _correct(connection, receipt)
        parked.sort(key=lambda row: row["id"].bytes)
        upsert(connection, quarantined_leads, parked, add=["attempts"], replace=["resolution", "resolved_at"])
        _keep_producers(connection, batches, stored_at)
        upsert(connection, lead_counts, _count_rows(counts), add=["leads"])

    def _insert_leads(
        self, connection: Connection, receipts: Iterable[_Receipt], stored_at: datetime.datetime
    ) -> list[tuple[_Place, str | None]]:
        """Inserts the leads; of each its place, and the fault if the database or we cannot take it."""
        good: list[_Place] = []
        faults: list[tuple[_Place, str | None]] = []
        for receipt in receipts:
            for index, lead in enumerate(receipt.batch.leads if receipt.batch else ()):
                place = _Place(receipt, index, lead)
                try:
                    place.row = _lead_row(lead, receipt, stored_at)
                except (KeyError, TypeError, ValueError, AttributeError) as error:
                    faults.append((place, f"{type(error).__name__}: {error}"))
                else:
                    good.append(place)
        return faults + _insert_or_bisect(connection, good)


def _insert_or_bisect(connection: Connection, places: list[_Place]) -> list[tuple[_Place, str | None]]:
    """Inserts all rows at once; where one is refused for what it says, finds it by halving."""
    if not places:
        return []
    try:
        with connection.begin_nested():
            connection.execute(insert(leads), [place.row for place in places])
    except SQLAlchemyError as error:
        if not blames_the_data(error):
            raise
        if len(places) == 1:
            return [(places[0], in_short(error))]
        middle = len(places) // 2
        return _insert_or_bisect(connection, places[:middle]) + _insert_or_bisect(connection, places[middle:])
    return [(place, None) for place in places]


def _without_receipt(connection: Connection, batches: Sequence[tuple[Batch, int]]) -> list[_Receipt]:
    """The numbers of these batches, and those they give up, that have no receipt yet; sorted by key.

    Of a batch and its void the first to arrive wins.
    """
    found: dict[tuple[UUID, int], _Receipt] = {}
    for batch, attempts in batches:
        header = batch.header
        for void in header.voids:
            found.setdefault((header.producer_id, void), _Receipt(header.producer_id, void, None))
        if header.sequence:
            receipt = _Receipt(header.producer_id, header.sequence, batch, attempts)
            found.setdefault((header.producer_id, header.sequence), receipt)
    numbers: dict[UUID, list[int]] = {}
    for producer_id, sequence in found:
        numbers.setdefault(producer_id, []).append(sequence)
    for producer_id, sequences in numbers.items():
        for first, last in _receipts_between(connection, producer_id, min(sequences), max(sequences)):
            for sequence in sequences:
                if first <= sequence <= last:
                    found.pop((producer_id, sequence), None)
    return [found[key] for key in sorted(found, key=lambda key: (key[0].bytes, key[1]))]


def _receipts_between(
    connection: Connection, producer_id: UUID, low: int, high: int
) -> list[tuple[int, int]]:
    """First and last number of each receipt that may cover one of `low` to `high`."""
    table = lead_batches.c
    of_producer = table.producer_id == producer_id
    # A compacted receipt that covers `low` begins before it.
    begin = select(func.max(table.sequence)).where(of_producer, table.sequence <= low).scalar_subquery()
    query = select(table.sequence, table.last_sequence).where(
        of_producer, table.sequence >= func.coalesce(begin, literal(low)), table.sequence <= high
    )
    return [(row.sequence, row.last_sequence) for row in connection.execute(query)]


def _correct(connection: Connection, receipt: _Receipt) -> None:
    """The receipt was written before its leads; some of them have not become rows."""
    key = (lead_batches.c.producer_id == receipt.producer_id) & (lead_batches.c.sequence == receipt.sequence)
    row = receipt.row(EVER)
    connection.execute(
        update(lead_batches).where(key).values(stored=row["stored"], quarantined=row["quarantined"])
    )


def _lead_row(lead: Lead, receipt: _Receipt, stored_at: datetime.datetime) -> dict[str, Any]:
    content = lead.content
    first_name, last_name = _text(content, "firstName"), _text(content, "lastName")
    email = _text(content, "email")
    if email is None:
        raise ValueError("email is missing")
    born, verticals, additional = (content.get(k) for k in ("dateOfBirth", "verticals", "additionalData"))
    return {
        "received_at": lead.received_at,
        "id": lead.id,
        "client_id": lead.client_id,
        "status": "stored",
        "replay_of": lead.replay_of,
        "test": content.get("test") is True,
        "first_name": first_name,
        "last_name": last_name,
        "email": email,
        "phone": _text(content, "phone"),
        "date_of_birth": None if born is None else datetime.date.fromisoformat(born),
        "city": _text(content, "city"),
        "zip_code": _text(content, "zipCode"),
        "province_code": _text(content, "provinceCode"),
        "country_code": _text(content, "countryCode"),
        "verticals": None if verticals is None else orjson.dumps(verticals).decode(),
        "client_reference": _text(content, "clientReference"),
        "additional_data": None if additional is None else orjson.dumps(additional).decode(),
        "request_id": lead.request_id,
        "stored_at": stored_at,
        "producer_id": receipt.producer_id,
        "sequence": receipt.sequence,
        "first_name_key": sort_key(first_name or ""),
        "last_name_key": sort_key(last_name or ""),
        "email_key": sort_key(email),
    }


def _text(content: dict[str, Any], name: str) -> str | None:
    """A field that is text or nothing: a driver would make a statement of its own out of anything else."""
    value = content.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    value.encode()  # raises on half a surrogate pair
    return value


def _keep_producers(
    connection: Connection, batches: Sequence[tuple[Batch, int]], seen_at: datetime.datetime
) -> None:
    rows: dict[UUID, dict[str, Any]] = {}
    for batch, _ in batches:
        header = batch.header
        known = rows.get(header.producer_id, {"settled_through": 0, "settled_leads": 0})
        rows[header.producer_id] = {
            "producer_id": header.producer_id,
            "settled_through": max(header.settled_through, known["settled_through"]),
            "settled_leads": max(header.settled_leads, known["settled_leads"]),
            "first_seen_at": seen_at,
            "last_seen_at": seen_at,
        }
    upsert(
        connection,
        lead_producers,
        [rows[key] for key in sorted(rows, key=lambda key: key.bytes)],
        greatest=["settled_through", "settled_leads"],
        replace=["last_seen_at"],
    )


def _count_rows(counts: Counter[tuple[int, bool, str, datetime.datetime]]) -> list[dict[str, Any]]:
    """Rows of `lead_counts`, one for each grain and bucket, sorted by key."""
    buckets: Counter[tuple[int, bool, str, str, datetime.datetime]] = Counter()
    for (client_id, test, status, received_at), number in counts.items():
        minute = received_at.replace(second=0, microsecond=0)
        hour = minute.replace(minute=0)
        for grain, bucket in (
            ("all", EVER),
            ("day", hour.replace(hour=0)),
            ("hour", hour),
            ("minute", minute),
        ):
            buckets[client_id, test, status, grain, bucket] += number
    names = ("client_id", "test", "status", "grain", "bucket")
    return [dict(zip(names, key, strict=True)) | {"leads": buckets[key]} for key in sorted(buckets)]

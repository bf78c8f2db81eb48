"""What shows that a message was written: receipts of its batches, and what its producer has said of itself.

A batch whose receipt is there already is left out, so a message may come as often as it likes.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Connection, Select, bindparam, func, insert, select

from shared.database import insert_many, upsert
from shared.messages import Batch
from shared.models import lead_batches, lead_producers

_INSERT = insert(lead_batches)
OTHERS = ("duplicate", "quarantined", "repeated", "erased")  # what may become of leads beside `stored`


@dataclass(slots=True)
class Receipt:
    """What becomes of one number of a producer."""

    producer_id: UUID
    sequence: int
    batch: Batch | None  # None: the number was given up
    attempts: int = 0
    duplicate: int = 0
    quarantined: int = 0
    repeated: int = 0
    erased: int = 0

    @property
    def key(self) -> tuple[bytes, int]:
        """What receipts are sorted by, so that no two writers wait for each other."""
        return self.producer_id.bytes, self.sequence

    @property
    def has_others_than_stored(self) -> bool:
        return any(getattr(self, outcome) for outcome in OTHERS)

    def row(self, stored_at: datetime.datetime) -> dict[str, Any]:
        of_batch = self.batch.leads if self.batch else []
        return {
            "producer_id": self.producer_id,
            "sequence": self.sequence,
            "last_sequence": self.sequence,
            "void": self.batch is None,
            "leads": len(of_batch),
            "stored": len(of_batch) - self.duplicate - self.quarantined - self.repeated - self.erased,
            "duplicate": self.duplicate,
            "quarantined": self.quarantined,
            "erased": self.erased,
            "repeated": self.repeated,
            "first_received_at": min((lead.received_at for lead in of_batch), default=None),
            "stored_at": stored_at,
        }


def claim_receipts(
    connection: Connection, batches: Sequence[tuple[Batch, int]], stored_at: datetime.datetime
) -> list[Receipt]:
    """Writes the receipts that are missing, and returns them in the order the batches came.

    If another consumer writes one of them too, one of us waits here and fails.
    """
    receipts = _missing(connection, batches)
    if receipts:
        rows = [receipt.row(stored_at) for receipt in sorted(receipts, key=lambda receipt: receipt.key)]
        insert_many(connection, _INSERT, rows)
    return receipts


def correct_receipts(
    connection: Connection, receipts: Sequence[Receipt], stored_at: datetime.datetime
) -> None:
    """The receipts were written before their leads, and not all of those were stored like that."""
    changed = sorted(
        (receipt for receipt in receipts if receipt.has_others_than_stored),
        key=lambda receipt: receipt.key,
    )
    rows = [receipt.row(stored_at) for receipt in changed]
    upsert(connection, lead_batches, rows, replace=["stored", *OTHERS])


def _missing(connection: Connection, batches: Sequence[tuple[Batch, int]]) -> list[Receipt]:
    """The numbers of these batches, and those they give up, that have no receipt yet.

    Of a batch and its void the first to arrive wins.
    """
    found: dict[tuple[UUID, int], Receipt] = {}
    for batch, attempts in batches:
        header = batch.header
        for void in header.voids:
            found.setdefault((header.producer_id, void), Receipt(header.producer_id, void, None))
        if header.sequence:
            receipt = Receipt(header.producer_id, header.sequence, batch, attempts)
            found.setdefault((header.producer_id, header.sequence), receipt)
    numbers: dict[UUID, list[int]] = {}
    for producer_id, sequence in found:
        numbers.setdefault(producer_id, []).append(sequence)
    for producer_id, sequences in numbers.items():
        between = {"producer": producer_id, "low": min(sequences), "high": max(sequences)}
        for first, last in connection.execute(_RECEIPTS_BETWEEN, between):
            for sequence in sequences:
                if first <= sequence <= last:
                    found.pop((producer_id, sequence), None)
    return list(found.values())


def _receipts_between() -> Select[Any]:
    """First and last number of each receipt of a `producer` that may cover one of `low` to `high`."""
    table = lead_batches.c
    low: BindParameter[int] = bindparam("low")
    of_producer = table.producer_id == bindparam("producer")
    # A compacted receipt that covers `low` begins before it.
    begin = select(func.max(table.sequence)).where(of_producer, table.sequence <= low).scalar_subquery()
    return select(table.sequence, table.last_sequence).where(
        of_producer, table.sequence >= func.coalesce(begin, low), table.sequence <= bindparam("high")
    )


_RECEIPTS_BETWEEN = _receipts_between()  # to put it together takes longer than to execute it


def keep_producers(
    connection: Connection, batches: Sequence[tuple[Batch, int]], seen_at: datetime.datetime
) -> None:
    """Notes what the producers of `batches` say of themselves; it only grows."""
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

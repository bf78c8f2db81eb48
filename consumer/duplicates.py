"""Which leads are duplicates: those that another one of the same partner and email was stored before.

`duplicate_keys` has the first lead of each partner and email. Whoever writes a lead claims its key there and
holds it until the commit: of two consumers with the same email one waits and sees what the other has stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from consumer.claims import claim
from shared.database import upsert
from shared.email_hashes import EmailHashes, open_email_hashes
from shared.models import duplicate_keys
from shared.settings import Settings

Key = tuple[int, bytes]  # a partner, and the hash of an email


class _First(NamedTuple):
    lead_id: UUID
    received_at: datetime


class Duplicates:
    """Marks duplicates within `window` of the first lead; a duplicate does not extend it."""

    def __init__(self, hashes: EmailHashes, window: timedelta) -> None:
        self._hash = hashes
        self._window = window

    def mark(self, connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
        """Sets `status` and `duplicate_of` in rows of `leads` that are about to be inserted in this order.

        Test leads neither make nor are duplicates.
        """
        keyed = [
            ((row["client_id"], self._hash(row["email"])), _First(row["id"], row["received_at"]), row)
            for row in rows
            if not row["test"]
        ]
        if not keyed:
            return
        firsts: dict[Key, _First] = {}
        for key, own, _ in keyed:
            firsts.setdefault(key, own)
        for other in claim(connection, duplicate_keys, _rows(firsts), holder="lead_id"):
            firsts[other.client_id, bytes(other.email_hash)] = _First(other.lead_id, other.received_at)
        later: dict[Key, _First] = {}
        for key, own, row in keyed:
            first = firsts[key]
            if first is own or first.lead_id == own.lead_id:
                continue
            since = own.received_at - first.received_at
            if abs(since) < self._window:
                row["status"], row["duplicate_of"] = "duplicate", first.lead_id
            elif since > timedelta():
                firsts[key] = later[key] = own
        upsert(connection, duplicate_keys, _rows(later), replace=["lead_id", "received_at"])


def duplicates_of(settings: Settings) -> Duplicates | None:
    """What marks duplicates under these settings; None where none are. Raises NoEmailHashKey."""
    if not settings.duplicate_window_days:
        return None
    return Duplicates(open_email_hashes(settings), timedelta(days=settings.duplicate_window_days))


def _rows(firsts: Mapping[Key, _First]) -> list[dict[str, Any]]:
    """Rows of `duplicate_keys`, sorted by key."""
    return [
        {"client_id": key[0], "email_hash": key[1], "lead_id": lead_id, "received_at": received_at}
        for key, (lead_id, received_at) in sorted(firsts.items(), key=itemgetter(0))
    ]

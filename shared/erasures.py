"""Who and what was erased, known again by hashes only, so that what is still on its way does not come back.

Who erases notes it first and commits, and then deletes with locks. Who writes looks after the last row is
written, and begins anew if something was noted meanwhile. So either the writer sees the note, or its rows
were there before the deleting began, which waits for them.

An erasure says nothing of what is received later, so a person may come anew, and under an idempotency key the
very id that was erased.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, bindparam, select

from shared.database import upsert
from shared.email_hashes import EmailHashes
from shared.models import erasures

# Who; what was accepted under an id, or replayed from a row of quarantine; and with which request it came,
# which is for the logs.
EMAIL, LEAD, REQUEST = "email", "lead", "request"
ASKED_AT_ONCE = 500  # people

_AFTER = select(erasures).where(erasures.c.erased_at >= bindparam("moment"))


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased after some moment."""

    hashes: EmailHashes | None = None
    moments: dict[tuple[str, bytes], datetime] = field(default_factory=dict)

    def has_email(self, email: str, received_at: datetime) -> bool:
        """Whether that person was erased after something of theirs was received then."""
        if self.hashes is None or not self.moments:
            return False
        return self._has(EMAIL, self.hashes(email), received_at)

    def has_lead(self, id: UUID, received_at: datetime) -> bool:
        """Whether that lead was erased after then."""
        return bool(self.moments) and self._has(LEAD, hash_of_lead(id), received_at)

    def has_request(self, request_id: str, received_at: datetime) -> bool:
        """Whether a lead that had come with that request was erased after then."""
        if self.hashes is None or not self.moments:
            return False
        return self._has(REQUEST, self.hashes(request_id), received_at)

    def _has(self, kind: str, subject_hash: bytes, received_at: datetime) -> bool:
        erased_at = self.moments.get((kind, subject_hash))
        return erased_at is not None and received_at <= erased_at


class Erasures:
    """Notes erasures, and reads them; `hashes` are those of this installation."""

    def __init__(self, hashes: EmailHashes) -> None:
        self.hashes = hashes

    def note(
        self,
        connection: Connection,
        erased_at: datetime,
        *,
        emails: Iterable[str] = (),
        lead_ids: Iterable[UUID] = (),
        request_ids: Iterable[str] = (),
    ) -> None:
        """Notes that these were erased at that moment; `lead_ids` may be those of rows of quarantine."""
        keys = {(EMAIL, self.hashes(email)) for email in emails}
        keys |= {(LEAD, hash_of_lead(id)) for id in lead_ids}
        keys |= {(REQUEST, self.hashes(id)) for id in request_ids}
        rows = [
            {"kind": kind, "subject_hash": subject_hash, "erased_at": erased_at}
            for kind, subject_hash in sorted(keys)
        ]
        upsert(connection, erasures, rows, greatest=["erased_at"])

    def after(self, connection: Connection, moment: datetime | None) -> Erased:
        """What was erased at that moment or later; nothing after None."""
        if moment is None:
            return Erased()
        rows = connection.execute(_AFTER, {"moment": moment})
        return Erased(self.hashes, {(row.kind, bytes(row.subject_hash)): row.erased_at for row in rows})

    def know_one_of(self, connection: Connection, emails: Collection[str]) -> bool:
        """Whether one of these people was erased, whenever that was."""
        hashes = sorted({self.hashes(email) for email in emails})
        erased = select(erasures.c.erased_at).where(erasures.c.kind == EMAIL).limit(1)
        return any(
            connection.scalar(
                erased.where(erasures.c.subject_hash.in_(hashes[begin : begin + ASKED_AT_ONCE]))
            )
            for begin in range(0, len(hashes), ASKED_AT_ONCE)
        )


def hash_of_lead(id: UUID) -> bytes:
    """What stands for a lead's id."""
    return hashlib.sha256(id.bytes).digest()

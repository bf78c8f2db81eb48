"""Parking what cannot be stored, with its bytes and the reason, so that it is neither lost nor in the way."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import orjson
from sqlalchemy import Connection

from shared.database import upsert
from shared.messages import Lead, encode_lead
from shared.models import quarantined_leads

UNDECODABLE = "undecodable_message"
REFUSED_BY_DATABASE = "refused_by_database"
IDEMPOTENCY_CONFLICT = "idempotency_conflict"
DETAIL_LENGTH = 500
# The columns that are written anew when it is parked again.
AGAIN = ("lead_id", "email_hash", "reason", "detail", "payload", "resolution", "resolved_at", "replayed_as")
# A statement with it may be twice as long, and MariaDB takes 16 MiB.
PAYLOAD_BYTES = 7 * 1024 * 1024


def quarantine_message(
    body: bytes, detail: str, attempts: int, now: datetime.datetime, *, is_kept: bool = True
) -> dict[str, Any]:
    """The row of `quarantined_leads` for a message that is none of ours, with its raw bytes if they are kept.

    Of more than PAYLOAD_BYTES, which none of ours has, the first are kept.
    """
    if not is_kept:
        detail = "left out, because somebody who was erased is in it"
    elif len(body) > PAYLOAD_BYTES:
        detail = f"the first {PAYLOAD_BYTES} of {len(body)} bytes: {detail}"
    return _row(
        id=uuid5(NAMESPACE_OID, hashlib.sha256(body).hexdigest()),
        reason=UNDECODABLE,
        detail=detail,
        payload=body[:PAYLOAD_BYTES] if is_kept else b"",
        attempts=attempts,
        now=now,
    )


def quarantine_lead(
    lead: Lead, id: UUID, reason: str, detail: str, attempts: int, now: datetime.datetime
) -> dict[str, Any]:
    """The row for a lead; `id` is that of its place."""
    row = _row(
        id=id,
        reason=reason,
        detail=detail,
        payload=_payload(lead),
        attempts=attempts,
        now=now,
    )
    return row | {"lead_id": lead.id, "client_id": lead.client_id, "received_at": lead.received_at}


def park(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Writes rows of `quarantined_leads`; what is there already is open again, as it is now."""
    ordered = sorted(rows, key=lambda row: row["id"].bytes)
    upsert(connection, quarantined_leads, ordered, add=["attempts"], replace=AGAIN)


def _payload(lead: Lead) -> bytes:
    try:
        return encode_lead(lead)
    except TypeError:
        # Half a surrogate pair, which is no text in UTF-8: JSON can have it escaped.
        content: Any = orjson.Fragment(json.dumps(lead.content))
        return encode_lead(replace(lead, content=content))


def _row(
    *, id: UUID, reason: str, detail: str, payload: bytes, attempts: int, now: datetime.datetime
) -> dict[str, Any]:
    return {
        "id": id,
        "lead_id": None,
        "client_id": None,
        "email_hash": None,
        "received_at": None,
        "reason": reason,
        "detail": detail[:DETAIL_LENGTH],
        "payload": payload,
        "attempts": attempts,
        "created_at": now,
        "resolution": None,
        "resolved_at": None,
        "replayed_as": None,
    }

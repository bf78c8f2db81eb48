"""What is in quarantine: which rows a filter finds, and how one reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Connection, Row, func, literal, select

from shared.messages import Lead, Undecodable, decode_lead
from shared.models import quarantined_leads
from shared.times import format_time

COUNTED = 10_000  # rows are counted so far at most
LISTED_BYTES = 64 * 1024  # of a payload; a longer one is left out of a list

_table = quarantined_leads.c


def conditions(query: Mapping[str, Any], *, resolved: bool | None = None) -> list[ColumnElement[bool]]:
    """The conditions that a loaded QuarantineFilter asks for; those resolved, or not, or either."""
    found: list[ColumnElement[bool]] = []
    if resolved is not None:
        found.append(_table.resolution.is_not(None) if resolved else _table.resolution.is_(None))
    if "reason" in query:
        found.append(_table.reason == query["reason"])
    if "clientId" in query:
        found.append(_table.client_id == query["clientId"])
    if "leadId" in query:
        found.append(_table.lead_id == query["leadId"])
    if "from_" in query:
        found.append(_table.created_at >= query["from_"])
    if "to" in query:
        found.append(_table.created_at < query["to"])
    return found


def waiting_as(lead_id: UUID) -> ColumnElement[bool]:
    """The condition on rows whose lead has that id. Under it a conflict was accepted, too, but once it is
    replayed it is another lead."""
    return (_table.lead_id == lead_id) & (_table.replayed_as.is_(None) | (_table.replayed_as == lead_id))


def number_of(connection: Connection, wanted: list[ColumnElement[bool]]) -> int:
    """How many match, counted no further than COUNTED + 1."""
    some = select(literal(1).label("one")).select_from(quarantined_leads).where(*wanted).limit(COUNTED + 1)
    return connection.scalar(select(func.count()).select_from(some.subquery())) or 0


def read_items(
    connection: Connection, wanted: list[ColumnElement[bool]], limit: int, offset: int
) -> list[dict[str, Any]]:
    """Those that match, the newest first, with short payloads."""
    columns = [column for column in _table if column.name != "payload"]
    beginning = func.substr(_table.payload, 1, LISTED_BYTES + 1).label("payload")
    statement = (
        select(*columns, beginning)
        .where(*wanted)
        .order_by(_table.created_at.desc(), _table.id.desc())
        .limit(limit)
        .offset(offset)
    )
    return [
        item_of(row, bytes(row.payload) if len(row.payload) <= LISTED_BYTES else None)
        for row in connection.execute(statement)
    ]


def item_of(row: Any, payload: bytes | None) -> dict[str, Any]:
    """A row as it reads, with what `payload` says."""
    return {
        "id": row.id,
        "leadId": row.lead_id,
        "clientId": row.client_id,
        "reason": row.reason,
        "detail": row.detail,
        "payload": _said(row, payload),
        "attempts": row.attempts,
        "receivedAt": _time(row.received_at),
        "createdAt": format_time(row.created_at),
        "resolution": row.resolution,
        "resolvedAt": _time(row.resolved_at),
        "replayedAs": row.replayed_as,
    }


def lead_of(row: Row[Any]) -> Lead | None:
    """The lead that was parked; None if the row has a message that is none."""
    if row.lead_id is None:
        return None
    try:
        return decode_lead(row.payload)
    except Undecodable:
        return None


def _said(row: Row[Any], payload: bytes | None) -> dict[str, Any] | str | None:
    if payload is None:
        return None
    try:
        content = decode_lead(payload).content if row.lead_id is not None else None
        orjson.dumps(content)
    except (Undecodable, TypeError):  # a TypeError: half a surrogate pair, which no answer can have
        content = None
    return payload.decode(errors="backslashreplace") if content is None else content


def _time(moment: Any) -> str | None:
    return None if moment is None else format_time(moment)

"""The timeline of one lead: what was asked, what became of it, what was answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, Response
from sqlalchemy import Connection, Row, or_, select

from admin_service.database import engine_of_app
from admin_service.logs import newest
from admin_service.pagination import READ_HEADERS, id_in_url
from admin_service.quarantine_answers import TRACE
from admin_service.quarantine_rows import lead_of, waiting_as
from admin_service.replays import CONFLICT
from shared.access import signed_in
from shared.errors import ApiError, success
from shared.identity import ROLE_ADMIN
from shared.models import api_request_logs, leads, quarantined_leads
from shared.openapi import answers
from shared.reading import reading
from shared.times import format_time

NOT_FOUND = "Lead not found"

blueprint = Blueprint("traces", __name__)


@dataclass(frozen=True, slots=True)
class _Event:
    at: datetime
    event: str
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Accepted:
    """How the lead was accepted; `request_id` is None if what was parked does not say it."""

    client_id: int
    received_at: datetime
    request_id: str | None


@blueprint.get("/admin/api/leads/<lead_id>/trace")
@signed_in(ROLE_ADMIN)
@answers(TRACE, errors=(404,))
def get_trace(lead_id: str) -> Response:
    """The timeline of one lead, stored or quarantined.

    Request and response come from the log of exchanges: they lack if that is off, and come a little later
    than the lead.
    """
    id = id_in_url(lead_id, NOT_FOUND)
    with reading(engine_of_app()).connect() as connection:
        data = _trace(connection, id)
    if data is None:
        raise ApiError(404, NOT_FOUND)
    return success(200, "Trace", data, READ_HEADERS)


def _trace(connection: Connection, id: UUID) -> dict[str, Any] | None:
    stored = connection.execute(select(leads).where(leads.c.id == id).limit(1)).first()
    parked = _parked(connection, id, stored)
    accepted = _accepted(stored, parked)
    if accepted is None:
        return None
    events = [
        *_exchange(connection, accepted),
        *_of_the_queue(accepted, stored),
        *(event for row in parked for event in _of_quarantine(row)),
        *_of_the_table(stored),
    ]
    events.sort(key=lambda event: event.at)  # at the same time, in the order above
    return {
        "leadId": id,
        "clientId": accepted.client_id,
        "requestId": accepted.request_id,
        "status": "quarantined" if stored is None else stored.status,
        "events": [
            {"at": format_time(event.at), "event": event.event, "details": event.details} for event in events
        ],
    }


def _parked(connection: Connection, id: UUID, stored: Row[Any] | None) -> Sequence[Row[Any]]:
    """The rows of quarantine that the lead was in."""
    table = quarantined_leads.c
    wanted = waiting_as(id)
    if stored is not None:
        # Under its id others may wait that came with the same idempotency key.
        wanted = or_(table.id == stored.replay_of, (table.lead_id == id) & (table.reason != CONFLICT))
    statement = select(quarantined_leads).where(wanted).order_by(table.created_at, table.id)
    return connection.execute(statement).all()


def _accepted(stored: Row[Any] | None, parked: Sequence[Row[Any]]) -> _Accepted | None:
    if stored is not None:
        return _Accepted(stored.client_id, stored.received_at, stored.request_id)
    if not parked:
        return None
    lead = lead_of(parked[0])
    row = parked[0]
    return _Accepted(row.client_id, row.received_at, None if lead is None else lead.request_id)


def _exchange(connection: Connection, accepted: _Accepted) -> Iterator[_Event]:
    """Request and response, if they are logged. Clients use request ids again: it was the last one before."""
    wanted = [
        api_request_logs.c.request_id == accepted.request_id,
        api_request_logs.c.client_id == accepted.client_id,
        api_request_logs.c.method == "POST",
        api_request_logs.c.received_at <= accepted.received_at,
    ]
    for row in newest(connection, wanted, 1):
        took = timedelta(microseconds=row.duration_us)
        asked = {
            "id": row.id,
            "method": row.method,
            "endpoint": row.endpoint,
            "address": row.address,
            "userAgent": row.user_agent,
        }
        yield _Event(row.received_at, "request", asked)
        answered = {"id": row.id, "status": row.status, "durationMs": row.duration_us / 1000}
        yield _Event(row.received_at + took, "response", answered)


def _of_the_queue(accepted: _Accepted, stored: Row[Any] | None) -> Iterator[_Event]:
    details = {}
    if stored is not None and stored.replay_of is None:
        details = {"producerId": stored.producer_id, "sequence": stored.sequence}
    yield _Event(accepted.received_at, "queued", details)


def _of_quarantine(row: Row[Any]) -> Iterator[_Event]:
    why = {"reason": row.reason, "detail": row.detail, "attempts": row.attempts}
    yield _Event(row.created_at, "quarantined", {"id": row.id} | why)
    if row.resolution is not None:
        yield _Event(row.resolved_at, row.resolution, {"id": row.id, "replayedAs": row.replayed_as})


def _of_the_table(stored: Row[Any] | None) -> Iterator[_Event]:
    if stored is not None:
        details: dict[str, Any] = {}
        if stored.duplicate_of is not None:
            details["duplicateOf"] = stored.duplicate_of
        if stored.replay_of is not None:
            details |= {"producerId": stored.producer_id, "sequence": stored.sequence}
        yield _Event(stored.stored_at, stored.status, details)

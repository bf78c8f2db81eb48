"""Sending quarantined leads through the queue again.

The row is marked and the lead published within one transaction that holds the row: of two admins only one
sends it, and what is marked as replayed is on its way. The other way round nothing is certain: what a queue
did not confirm may come all the same, and the admin may try again. So the consumer stores one lead for
each row of quarantine, however many come (consumer/replays.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, or_, select, update

from admin_service.audit import record_change
from admin_service.quarantine_rows import conditions, lead_of, number_of
from shared.database import writing
from shared.errors import ApiError
from shared.messages import Lead, encode_lead
from shared.models import quarantined_leads
from shared.publisher import Publisher
from shared.queues import NotConfirmed
from shared.times import utc_now

CONFLICT = "idempotency_conflict"  # its id belongs to another lead
MAX_REPLAYED = 1000  # with one request
CHUNK_LEADS = 100
CHUNK_BYTES = 1024 * 1024

_table = quarantined_leads.c


def replay(engine: Engine, publisher: Publisher, id: UUID, corrected: dict[str, Any] | None) -> UUID:
    """Sends the lead again, saying what `corrected` says if that is given; returns the lead's id.

    Raises ApiError: 404, 409 if it is settled or cannot be sent, 503 if the queue does not take it.
    """
    with writing(engine).begin() as connection:
        row = open_row(connection, id)
        lead = _to_send(row, corrected)
        encoded = None if lead is None else _encoded(lead)
        if lead is None or encoded is None:
            raise ApiError(409, "This is no lead that could be sent again as it is")
        _mark(connection, row, lead.id, is_corrected=corrected is not None)
        _publish(publisher, [encoded])
    return lead.id


def replay_many(engine: Engine, publisher: Publisher, query: Mapping[str, Any]) -> tuple[int, int]:
    """Sends up to MAX_REPLAYED leads again, the oldest first: how many, and how many that match are left.

    Raises ApiError 503 if the queue does not take them; those of chunks before are sent.
    """
    wanted = conditions(query, resolved=False)
    after: list[ColumnElement[bool]] = []
    replayed = 0
    while replayed < MAX_REPLAYED:
        with writing(engine).begin() as connection:
            rows = _chunk(connection, [*wanted, *after], min(CHUNK_LEADS, MAX_REPLAYED - replayed))
            if not rows:
                break
            encoded = _mark_all(connection, rows)
            if encoded:
                _publish(publisher, encoded)
        replayed += len(encoded)
        after = [_after(rows[-1])]
    with engine.connect() as connection:
        return replayed, number_of(connection, wanted)


def discard(engine: Engine, id: UUID) -> None:
    """Settles the row for good: it is never sent again. Raises ApiError 404, 409."""
    with writing(engine).begin() as connection:
        row = open_row(connection, id)
        _resolve(connection, row, resolution="discarded")
        record_change(connection, "discard", "quarantined_lead", row.id, None, None)


def open_row(connection: Connection, id: UUID) -> Row[Any]:
    """The row, which is ours until the transaction ends. Raises ApiError 404, 409 if it is settled."""
    row = connection.execute(select(quarantined_leads).where(_table.id == id).with_for_update()).first()
    if row is None:
        raise ApiError(404, "Quarantined lead not found")
    if row.resolution is not None:
        raise ApiError(409, f"This lead is {row.resolution} already")
    return row


def _chunk(connection: Connection, wanted: Sequence[ColumnElement[bool]], limit: int) -> list[Row[Any]]:
    """The oldest leads that match, as many as go into one message; ours until the transaction ends."""
    statement = select(quarantined_leads).where(*wanted, _table.lead_id.is_not(None))
    statement = statement.order_by(_table.created_at, _table.id).limit(limit).with_for_update()
    rows: list[Row[Any]] = []
    size = 0
    for row in connection.execute(statement).all():
        size += len(row.payload)
        if rows and size > CHUNK_BYTES:
            break
        rows.append(row)
    return rows


def _after(row: Row[Any]) -> ColumnElement[bool]:
    moment = row.created_at
    return and_(_table.created_at >= moment, or_(_table.created_at > moment, _table.id > row.id))


def _to_send(row: Row[Any], corrected: dict[str, Any] | None = None) -> Lead | None:
    """The lead as it goes out again; None if there is none in the row.

    Its idempotency key is left out: what holds that key was settled when it came first.
    """
    lead = lead_of(row)
    if lead is None:
        return None
    return replace(
        lead,
        id=uuid5(row.id, "replay") if row.reason == CONFLICT else lead.id,
        content=lead.content if corrected is None else corrected,
        key_hash=None,
        replay_of=row.id,
    )


def _encoded(lead: Lead) -> bytes | None:
    try:
        return encode_lead(lead)
    except TypeError:  # half a surrogate pair
        return None


def _mark_all(connection: Connection, rows: Sequence[Row[Any]]) -> list[bytes]:
    """Marks those rows that can be sent as they are; their leads, encoded."""
    sent = []
    for row in rows:
        lead = _to_send(row)
        encoded = None if lead is None else _encoded(lead)
        if lead is not None and encoded is not None:
            _mark(connection, row, lead.id, is_corrected=False)
            sent.append(encoded)
    return sent


def _mark(connection: Connection, row: Row[Any], lead_id: UUID, *, is_corrected: bool) -> None:
    _resolve(connection, row, resolution="replayed", replayed_as=lead_id)
    after = {"leadId": str(lead_id), "corrected": is_corrected}
    record_change(connection, "replay", "quarantined_lead", row.id, None, after)


def _resolve(connection: Connection, row: Row[Any], **values: Any) -> None:
    statement = update(quarantined_leads).where(_table.id == row.id)
    connection.execute(statement.values(**values, resolved_at=utc_now()))


def _publish(publisher: Publisher, encoded: Sequence[bytes]) -> None:
    try:
        publisher.accept(encoded)
    except NotConfirmed:
        message = "The queue takes no leads now; try again"
        raise ApiError(503, message, headers={"Retry-After": "5"}) from None

"""Leads that come out of quarantine. Of each row of it one lead is stored, however many are sent: a queue may
deliver what it did not confirm, and then an admin has sent the lead once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, select, update

from consumer.counts import Counted
from consumer.lead_rows import Place
from shared.messages import Undecodable, decode_lead
from shared.models import leads, quarantined_leads

_table = quarantined_leads.c


def settle_replays(connection: Connection, places: Iterable[Place]) -> list[Counted]:
    """Says of those `places` that replay what was stored or discarded meanwhile that they are repeats.

    Returns how the others were counted while they were in quarantine, which they leave now.
    """
    replays = [place for place in places if place.lead.replay_of is not None]
    if not replays:
        return []
    rows = _locked(connection, {place.lead.replay_of for place in replays if place.lead.replay_of})
    settled = _stored(connection, replays) | {id for id, row in rows.items() if row.resolution == "discarded"}
    left: list[Counted] = []
    for place in replays:
        replay_of = place.lead.replay_of
        if replay_of in settled or replay_of is None:
            place.is_repeat, place.fault = True, None
            continue
        settled.add(replay_of)
        if replay_of in rows:
            left += _counted(rows[replay_of])
    return left


def mark_replayed(connection: Connection, places: Iterable[Place], now: datetime) -> None:
    """Settles the rows of the replays that were stored, if the admin who sent them could not."""
    stored = [place.lead for place in places if place.lead.replay_of and place.fault is None and place.row]
    if stored:
        statement = update(quarantined_leads).where(_table.id == bindparam("of"), _table.resolution.is_(None))
        connection.execute(
            statement.values(resolution="replayed", resolved_at=now, replayed_as=bindparam("lead")),
            [{"of": lead.replay_of, "lead": lead.id} for lead in stored],
        )


def _locked(connection: Connection, ids: set[UUID]) -> dict[UUID, Row[Any]]:
    """The rows, which nobody else can change now: another consumer with the same replay waits here."""
    statement = select(quarantined_leads).where(_table.id.in_(sorted(ids, key=lambda id: id.bytes)))
    found = connection.execute(statement.order_by(_table.id).with_for_update())
    return {row.id: row for row in found}


def _stored(connection: Connection, replays: Sequence[Place]) -> set[UUID]:
    """The rows of quarantine whose lead is stored already."""
    keys = {(place.lead.received_at, place.lead.id): place.lead.replay_of for place in replays}
    query = select(leads.c.received_at, leads.c.id)
    query = query.where(leads.c.id.in_([id for _, id in keys]))
    found = (keys.get((row.received_at, row.id)) for row in connection.execute(query))
    return {replay_of for replay_of in found if replay_of is not None}


def _counted(row: Row[Any]) -> list[Counted]:
    try:
        lead = decode_lead(row.payload)
    except Undecodable:
        return []
    return [(lead.client_id, lead.content.get("test") is True, "quarantined", lead.received_at)]

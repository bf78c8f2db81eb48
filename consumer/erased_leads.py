"""Leads, and other messages, of people who were erased while they were on the way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select

from consumer.lead_rows import Place
from shared.emails_in_text import emails_in
from shared.erasures import Erased, Erasures
from shared.models import quarantined_leads
from shared.queues import Delivery


def erased_meanwhile(connection: Connection, erasures: Erasures | None, places: Sequence[Place]) -> Erased:
    """What was erased after the first of these leads was received."""
    if erasures is None:
        return Erased()
    return erasures.after(connection, min((place.lead.received_at for place in places), default=None))


def with_erased(
    connection: Connection, erasures: Erasures | None, broken: Sequence[tuple[Delivery, str]]
) -> set[int]:
    """Which of these messages, by index, say the email of somebody who was erased.

    Nobody knows when what they say was received, so it does not matter when that was.
    """
    if erasures is None:
        return set()
    said = (emails_in(delivery.body.decode(errors="replace")) for delivery, _ in broken)
    return {index for index, emails in enumerate(said) if erasures.know_one_of(connection, emails)}


def drop_erased(connection: Connection, places: Sequence[Place], erased: Erased) -> None:
    """Says of those `places` that were erased that nothing becomes of them.

    What a replay says of whom was said when it was replayed: an admin may have corrected the email.
    """
    if not erased.moments:
        return
    found = [place for place in places if _is_erased(place, erased, place.lead.received_at)]
    replayed_at = _replayed_at(connection, {place.lead.replay_of for place in found if place.lead.replay_of})
    for place in found:
        said_at = replayed_at.get(place.lead.replay_of or place.lead.id)
        if said_at is None or _is_erased(place, erased, said_at):
            place.is_erased, place.is_repeat, place.fault = True, False, None


def _is_erased(place: Place, erased: Erased, said_at: datetime) -> bool:
    lead, email = place.lead, place.lead.content.get("email")
    ids = [lead.id] if lead.replay_of is None else [lead.id, lead.replay_of]
    return any(erased.has_lead(id, lead.received_at) for id in ids) or (
        isinstance(email, str) and erased.has_email(email, said_at)
    )


def _replayed_at(connection: Connection, ids: set[UUID]) -> dict[UUID, datetime]:
    """When these rows of quarantine were replayed. Locks them: who replays commits after publishing."""
    if not ids:
        return {}
    row = quarantined_leads.c
    query = select(row.id, row.resolved_at).where(row.id.in_(sorted(ids, key=lambda id: id.bytes)))
    query = query.where(row.resolved_at.is_not(None)).order_by(row.id).with_for_update()
    return {row.id: row.resolved_at for row in connection.execute(query)}

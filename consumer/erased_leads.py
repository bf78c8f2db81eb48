"""Leads that were erased while they were on the way."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from consumer.lead_rows import Place
from shared.erasures import Erased, Erasures


def erased_meanwhile(connection: Connection, erasures: Erasures | None, places: Sequence[Place]) -> Erased:
    """What was erased after the first of these leads was received."""
    if erasures is None:
        return Erased()
    return erasures.after(connection, min((place.lead.received_at for place in places), default=None))


def drop_erased(places: Sequence[Place], erased: Erased) -> None:
    """Says of those `places` that were erased that nothing becomes of them."""
    for place in places if erased.moments else ():
        lead, email = place.lead, place.lead.content.get("email")
        if erased.has_lead(lead.id, lead.received_at) or (
            isinstance(email, str) and erased.has_email(email, lead.received_at)
        ):
            place.is_erased, place.is_repeat, place.fault = True, False, None

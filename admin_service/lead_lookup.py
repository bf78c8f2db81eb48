"""One lead by its id: stored, or quarantined because it could not be."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from admin_service.lead_bodies import lead_bodies, quarantined_bodies
from admin_service.quarantine_rows import waiting_as
from shared.models import leads, quarantined_leads


def find_lead(connection: Connection, id: UUID, client_id: int | None) -> dict[str, Any] | None:
    """The lead as it reads back to the partner `client_id`, if it is its own; with None to an admin."""
    stored = select(leads).where(leads.c.id == id).limit(1)
    # Under the id of a stored lead there may be another with the same idempotency key, which waits here.
    waiting = select(quarantined_leads).where(waiting_as(id))
    waiting = waiting.order_by(quarantined_leads.c.created_at, quarantined_leads.c.id).limit(1)
    if client_id is not None:
        stored = stored.where(leads.c.client_id == client_id)
        waiting = waiting.where(quarantined_leads.c.client_id == client_id)
    for_admin = client_id is None
    bodies = lead_bodies(connection, connection.execute(stored).all(), for_admin=for_admin)
    if not bodies:
        bodies = quarantined_bodies(connection, connection.execute(waiting).all(), for_admin=for_admin)
    return bodies[0] if bodies else None

"""One lead by its id: stored, or quarantined because it could not be."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, bindparam, select

from admin_service.lead_bodies import COLUMNS, lead_bodies, quarantined_bodies, with_client
from admin_service.quarantine_rows import waiting_as
from shared.models import app_users, leads, quarantined_leads

_STORED: Select[Any] = (
    select(*COLUMNS).select_from(with_client(leads)).where(leads.c.id == bindparam("id")).limit(1)
)
_OWN_STORED = _STORED.where(leads.c.client_id == bindparam("client_id"))


def find_lead(connection: Connection, id: UUID, client_id: int | None) -> dict[str, Any] | None:
    """The lead as it reads back to the partner `client_id`, if it is its own; with None to an admin."""
    for_admin = client_id is None
    stored = _STORED if for_admin else _OWN_STORED
    rows = connection.execute(stored, {"id": id, "client_id": client_id}).all()
    bodies = lead_bodies(rows, for_admin=for_admin)
    if not bodies:
        rows = connection.execute(_waiting(id, client_id)).all()
        bodies = quarantined_bodies(rows, for_admin=for_admin)
    return bodies[0] if bodies else None


def _waiting(id: UUID, client_id: int | None) -> Select[Any]:
    """Under the id of a stored lead there may be another with the same idempotency key, which waits here."""
    columns = quarantined_leads.c
    found = with_client(quarantined_leads, columns.client_id)
    waiting: Select[Any] = select(quarantined_leads, app_users.c.email.label("client_email")).select_from(
        found
    )
    waiting = waiting.where(waiting_as(id)).order_by(columns.created_at, columns.id).limit(1)
    return waiting if client_id is None else waiting.where(columns.client_id == client_id)

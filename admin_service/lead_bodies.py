"""Leads as they read back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Row, select

from shared.models import app_users
from shared.times import format_time


def lead_bodies(connection: Connection, rows: Sequence[Row[Any]], *, for_admin: bool) -> list[dict[str, Any]]:
    """The leads in rows of `leads`; for admins with the email of the partner who sent them."""
    if not for_admin:
        return [_lead_body(row) for row in rows]
    clients = {row.client_id for row in rows}
    emails: dict[int, str] = {
        user.id: user.email
        for user in connection.execute(
            select(app_users.c.id, app_users.c.email).where(app_users.c.id.in_(clients))
        )
    }
    return [_lead_body(row) | {"clientEmail": emails.get(row.client_id)} for row in rows]


def _lead_body(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "duplicateOf": row.duplicate_of,
        "test": row.test,
        "clientId": row.client_id,
        "firstName": row.first_name,
        "lastName": row.last_name,
        "email": row.email,
        "phone": row.phone,
        "dateOfBirth": row.date_of_birth,
        "city": row.city,
        "zipCode": row.zip_code,
        "provinceCode": row.province_code,
        "countryCode": row.country_code,
        "verticals": _json(row.verticals),
        "clientReference": row.client_reference,
        "additionalData": _json(row.additional_data),
        "requestId": row.request_id,
        "createdAt": format_time(row.received_at),
        "storedAt": format_time(row.stored_at),
    }


def _json(text: str | None) -> orjson.Fragment | None:
    """Stored JSON goes out as it stands."""
    return None if text is None else orjson.Fragment(text)

"""Leads as they read back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import orjson
from sqlalchemy import Connection, Row, select

from shared.models import app_users
from shared.times import format_time

SENT = (
    "firstName",
    "lastName",
    "email",
    "phone",
    "dateOfBirth",
    "city",
    "zipCode",
    "provinceCode",
    "countryCode",
    "verticals",
    "clientReference",
    "additionalData",
)


def lead_bodies(connection: Connection, rows: Sequence[Row[Any]], *, for_admin: bool) -> list[dict[str, Any]]:
    """The leads in rows of `leads`; for admins with the email of the partner who sent them."""
    bodies = [_lead_body(row) for row in rows]
    return _with_client_email(connection, bodies) if for_admin else bodies


def quarantined_bodies(
    connection: Connection, rows: Sequence[Row[Any]], *, for_admin: bool
) -> list[dict[str, Any]]:
    """The same for rows of `quarantined_leads`, with the reason; for admins in more words."""
    bodies = [_quarantined_body(row) for row in rows]
    if not for_admin:
        return bodies
    bodies = [body | {"detail": row.detail} for body, row in zip(bodies, rows, strict=True)]
    return _with_client_email(connection, bodies)


def _with_client_email(connection: Connection, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    clients = {body["clientId"] for body in bodies}
    emails: dict[int, str] = {
        user.id: user.email
        for user in connection.execute(
            select(app_users.c.id, app_users.c.email).where(app_users.c.id.in_(clients))
        )
    }
    return [body | {"clientEmail": emails.get(body["clientId"])} for body in bodies]


def _lead_body(row: Row[Any]) -> dict[str, Any]:
    body = {
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
    return body if row.replay_of is None else body | {"replayOf": row.replay_of}


def _quarantined_body(row: Row[Any]) -> dict[str, Any]:
    """The fields as they were sent, whatever they are: the reason may be one of them."""
    lead = _payload(row.payload)
    content = lead.get("content", {})
    return {
        "id": row.lead_id,
        "status": "quarantined",
        "reason": row.reason,
        "duplicateOf": None,
        "test": content.get("test") is True,
        "clientId": row.client_id,
        **{name: content.get(name) for name in SENT},
        "requestId": lead.get("requestId"),
        "createdAt": format_time(row.received_at),
        "storedAt": None,
    }


def _payload(payload: bytes) -> dict[str, Any]:
    """The lead that was parked; empty if it cannot be answered as JSON, such as half a surrogate pair."""
    try:
        return cast(dict[str, Any], orjson.loads(payload))
    except orjson.JSONDecodeError:
        return {}


def _json(text: str | None) -> orjson.Fragment | None:
    """Stored JSON goes out as it stands."""
    return None if text is None else orjson.Fragment(text)

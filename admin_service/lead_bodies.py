"""Leads as they read back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import orjson
from sqlalchemy import ColumnElement, FromClause, Join, Row

from shared.models import app_users, leads
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


# What is read of a lead: the driver takes 2 µs for each value.
COLUMNS = (
    leads.c.id,
    leads.c.status,
    leads.c.duplicate_of,
    leads.c.replay_of,
    leads.c.test,
    leads.c.client_id,
    leads.c.first_name,
    leads.c.last_name,
    leads.c.email,
    leads.c.phone,
    leads.c.date_of_birth,
    leads.c.city,
    leads.c.zip_code,
    leads.c.province_code,
    leads.c.country_code,
    leads.c.verticals,
    leads.c.client_reference,
    leads.c.additional_data,
    leads.c.request_id,
    leads.c.received_at,
    leads.c.stored_at,
    app_users.c.email.label("client_email"),
)


def with_client(found: FromClause, client_id: ColumnElement[int] = leads.c.client_id) -> Join:
    """What was found, and the user who sent it, if it is one that we know."""
    return found.outerjoin(app_users, app_users.c.id == client_id)


def lead_bodies(rows: Sequence[Row[Any]], *, for_admin: bool) -> list[dict[str, Any]]:
    """The leads in rows of COLUMNS; for admins with the email of the partner who sent them."""
    bodies = [_lead_body(row) for row in rows]
    return _with_client_email(bodies, rows) if for_admin else bodies


def quarantined_bodies(rows: Sequence[Row[Any]], *, for_admin: bool) -> list[dict[str, Any]]:
    """The same for rows of `quarantined_leads` with a `client_email`, and with the reason; for admins in more
    words."""
    bodies = [_quarantined_body(row) for row in rows]
    if not for_admin:
        return bodies
    bodies = [body | {"detail": row.detail} for body, row in zip(bodies, rows, strict=True)]
    return _with_client_email(bodies, rows)


def _with_client_email(bodies: list[dict[str, Any]], rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    return [body | {"clientEmail": row.client_email} for body, row in zip(bodies, rows, strict=True)]


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

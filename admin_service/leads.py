"""Reading leads back: a partner its own, an admin all."""

from __future__ import annotations

import re
import time
from typing import Any
from uuid import UUID

import orjson
from flask import Blueprint, Response, g, request
from marshmallow import Schema, fields, validate
from sqlalchemy import ColumnElement, Connection, Engine, Row, func, select

from admin_service.answers import LEADS, ONE_LEAD
from admin_service.database import engine_of_app
from admin_service.pagination import SortedPageSchema, page_of
from shared.access import signed_in
from shared.errors import ApiError, answer
from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT
from shared.models import app_users, lead_counts, leads
from shared.openapi import answers, takes
from shared.times import format_time

MAX_WAIT_SECONDS = 10
POLL_SECONDS = 0.05
READ_HEADERS = {"Cache-Control": "private, no-cache"}

# What a page is sorted by; received_at and id follow, so that every order is total.
SORTS: dict[str, list[ColumnElement[Any]]] = {
    "createdAt": [],
    "storedAt": [leads.c.stored_at],
    "firstName": [leads.c.first_name_key],
    "lastName": [leads.c.last_name_key],
    "email": [leads.c.email_key],
}

blueprint = Blueprint("leads", __name__)


class LeadsQuery(SortedPageSchema):
    """The parameters of `GET /api/leads`."""

    sortBy = fields.String(load_default="createdAt", validate=validate.OneOf(list(SORTS)))


class LeadQuery(Schema):
    """The parameters of `GET /api/leads/{id}`."""

    wait = fields.Float(load_default=0.0, validate=validate.Range(0, MAX_WAIT_SECONDS))


_leads_query = LeadsQuery()
_lead_query = LeadQuery()


@blueprint.get("/api/leads")
@signed_in(ROLE_API_CLIENT)
@takes(query=_leads_query)
@answers(LEADS)
def list_leads() -> Response:
    """One page of leads, the newest first unless asked otherwise."""
    query = _leads_query.load(request.args.to_dict())
    page, limit = query["page"], query["limit"]
    order = [*SORTS[query["sortBy"]], leads.c.received_at, leads.c.id]
    if query["sortOrder"] == "DESC":
        order = [column.desc() for column in order]
    visible = _visible()
    statement = select(leads).where(*visible).order_by(*order).limit(limit).offset((page - 1) * limit)
    with engine_of_app().connect() as connection:
        rows = connection.execute(statement).all()
        total = _total(connection)
        items = _lead_bodies(connection, rows)
    body = {"status": "success", "code": 200, "message": "Leads", "data": page_of(items, page, limit, total)}
    return answer(200, body, READ_HEADERS)


@blueprint.get("/api/leads/<lead_id>")
@signed_in(ROLE_API_CLIENT)
@takes(query=_lead_query)
@answers(ONE_LEAD, errors=(404,))
def get_lead(lead_id: str) -> Response:
    """One lead. With `wait`, the answer is held for that many seconds at most, until the lead is there."""
    wait = _lead_query.load(request.args.to_dict())["wait"]
    id = _lead_id(lead_id)
    deadline = time.monotonic() + wait
    while (lead := _find(engine_of_app(), id)) is None:
        if time.monotonic() >= deadline:
            raise ApiError(404, "Lead not found")
        time.sleep(POLL_SECONDS)
    return answer(200, {"status": "success", "code": 200, "message": "Lead", "data": lead}, READ_HEADERS)


def _lead_id(text: str) -> UUID:
    """The id in a URL, in its one usual spelling. Raises ApiError 404: no other text names a lead."""
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        raise ApiError(404, "Lead not found")
    return UUID(text)


def _visible() -> list[ColumnElement[bool]]:
    """What the caller may see: the conditions that keep other partners' leads out."""
    return [] if ROLE_ADMIN in g.user.roles else [leads.c.client_id == g.user.id]


def _find(engine: Engine, id: UUID) -> dict[str, Any] | None:
    with engine.connect() as connection:
        rows = connection.execute(select(leads).where(leads.c.id == id, *_visible())).all()
        bodies = _lead_bodies(connection, rows[:1])
    return bodies[0] if bodies else None


def _total(connection: Connection) -> int:
    """How many leads the caller may see, from the counts that the writer keeps."""
    statement = select(func.coalesce(func.sum(lead_counts.c.leads), 0)).where(
        lead_counts.c.grain == "all", lead_counts.c.status.in_(["stored", "duplicate"])
    )
    if ROLE_ADMIN not in g.user.roles:
        statement = statement.where(lead_counts.c.client_id == g.user.id)
    return int(connection.scalar(statement) or 0)


def _lead_bodies(connection: Connection, rows: Any) -> list[dict[str, Any]]:
    """Leads as they read back; for admins with the email of the partner who sent them."""
    if ROLE_ADMIN not in g.user.roles:
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

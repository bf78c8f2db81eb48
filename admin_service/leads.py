"""Reading leads back: a partner its own, an admin all."""

from __future__ import annotations

import re
import time
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, g
from sqlalchemy import ColumnElement, select

from admin_service.answers import LEADS, ONE_LEAD
from admin_service.database import engine_of_app
from admin_service.lead_bodies import lead_bodies
from admin_service.lead_cursors import read_cursor, write_cursor
from admin_service.lead_listing import Listing, read_page
from admin_service.lead_order import Order
from admin_service.lead_queries import LeadQuery, LeadsQuery, filter_of
from admin_service.pagination import page_of, query_parameters
from shared.access import signed_in
from shared.errors import ApiError, success
from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT
from shared.models import leads
from shared.openapi import answers, takes
from shared.reading import reading

POLL_SECONDS = 0.05
READ_HEADERS = {"Cache-Control": "private, no-cache"}

blueprint = Blueprint("leads", __name__)

_leads_query = LeadsQuery()
_lead_query = LeadQuery()


@blueprint.get("/api/leads")
@signed_in(ROLE_API_CLIENT)
@takes(query=_leads_query)
@answers(LEADS)
def list_leads() -> Response:
    """One page of leads, the newest first unless asked otherwise."""
    query = _leads_query.load(query_parameters())
    wanted = filter_of(query, None if _is_admin() else g.user.id)
    order = Order(query["sortBy"], query["sortOrder"] == "DESC")
    cursor = read_cursor(query["cursor"], wanted, order) if "cursor" in query else None
    with reading(engine_of_app()).connect() as connection:
        page = read_page(connection, Listing(wanted, order, query["limit"], query["page"], cursor))
        items = lead_bodies(connection, page.rows, for_admin=_is_admin())
    data = page_of(items, page.number, query["limit"], page.total.number, is_exact=page.total.is_exact)
    data["pagination"]["nextCursor"] = write_cursor(page.end, wanted, order) if page.end else None
    return success(200, "Leads", data, READ_HEADERS)


@blueprint.get("/api/leads/<lead_id>")
@signed_in(ROLE_API_CLIENT)
@takes(query=_lead_query)
@answers(ONE_LEAD, errors=(404,))
def get_lead(lead_id: str) -> Response:
    """One lead. With `wait`, the answer is held for that many seconds at most, until the lead is there."""
    wait = _lead_query.load(query_parameters())["wait"]
    id = _lead_id(lead_id)
    deadline = time.monotonic() + wait
    while (lead := _find(id)) is None:
        if time.monotonic() >= deadline:
            raise ApiError(404, "Lead not found")
        time.sleep(POLL_SECONDS)
    return success(200, "Lead", lead, READ_HEADERS)


def _lead_id(text: str) -> UUID:
    """The id in a URL, in its one usual spelling. Raises ApiError 404: no other text names a lead."""
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        raise ApiError(404, "Lead not found")
    return UUID(text)


def _is_admin() -> bool:
    return ROLE_ADMIN in g.user.roles


def _visible() -> list[ColumnElement[bool]]:
    """What the caller may see: the conditions that keep other partners' leads out."""
    return [] if _is_admin() else [leads.c.client_id == g.user.id]


def _find(id: UUID) -> dict[str, Any] | None:
    with reading(engine_of_app()).connect() as connection:
        rows = connection.execute(select(leads).where(leads.c.id == id, *_visible())).all()
        bodies = lead_bodies(connection, rows[:1], for_admin=_is_admin())
    return bodies[0] if bodies else None

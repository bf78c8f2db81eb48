"""Reading leads back: a partner its own, an admin all."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, g, request

from admin_service.answers import LEADS, ONE_LEAD
from admin_service.database import engine_of_app
from admin_service.lead_bodies import lead_bodies
from admin_service.lead_cursors import read_cursor, write_cursor
from admin_service.lead_listing import Listing, read_page
from admin_service.lead_lookup import find_lead
from admin_service.lead_order import Order
from admin_service.lead_queries import LeadQuery, LeadsQuery, filter_of
from admin_service.pagination import READ_HEADERS, id_in_url, page_of, query_parameters
from shared.access import signed_in
from shared.errors import ApiError, success
from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT
from shared.openapi import answers, takes
from shared.reading import reading

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 0.4  # between two looks for a lead that is not there yet

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
    client_id = _own_client_id()
    wanted = filter_of(query, client_id)
    order = Order(query["sortBy"], query["sortOrder"] == "DESC")
    cursor = read_cursor(query["cursor"], wanted, order) if "cursor" in query else None
    with reading(engine_of_app()).connect() as connection:
        page = read_page(connection, Listing(wanted, order, query["limit"], query["page"], cursor))
        items = lead_bodies(page.rows, for_admin=client_id is None)
    data = page_of(items, page.number, query["limit"], page.total.number, is_exact=page.total.is_exact)
    data["pagination"]["nextCursor"] = write_cursor(page.end, wanted, order) if page.end else None
    return success(200, "Leads", data, READ_HEADERS)


@blueprint.get("/api/leads/<lead_id>")
@signed_in(ROLE_API_CLIENT)
@takes(query=_lead_query, headers=("If-None-Match",))
@answers(ONE_LEAD, errors=(404,))
def get_lead(lead_id: str) -> Response:
    """One lead, stored or quarantined.

    With `wait`, the answer is held for that many seconds at most, until the lead is there.
    """
    id = id_in_url(lead_id, "Lead not found")
    deadline = time.monotonic() + _lead_query.load(query_parameters())["wait"]
    pause = FIRST_PAUSE_SECONDS
    while (lead := _find(id)) is None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise ApiError(404, "Lead not found")
        time.sleep(min(pause, left))
        pause = min(1.5 * pause, LONGEST_PAUSE_SECONDS)
    response = success(200, "Lead", lead, READ_HEADERS)
    response.add_etag()
    response.make_conditional(request)
    return response


def _own_client_id() -> int | None:
    """The id of a partner, who sees no leads but its own; None for an admin, who sees all."""
    return None if ROLE_ADMIN in g.user.roles else g.user.id


def _find(id: UUID) -> dict[str, Any] | None:
    with reading(engine_of_app()).connect() as connection:
        return find_lead(connection, id, _own_client_id())

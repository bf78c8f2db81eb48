"""Leads as a file: as many as there are, in memory for no more than a chunk of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, g
from sqlalchemy import Engine

from admin_service.answers import EXPORT, LEAD
from admin_service.database import engine_of_app
from admin_service.lead_bodies import lead_bodies
from admin_service.lead_cursors import Cursor
from admin_service.lead_files import FORMATS
from admin_service.lead_filters import LeadFilter
from admin_service.lead_listing import Listing, read_rows
from admin_service.lead_order import Order
from admin_service.lead_queries import ExportQuery, filter_of
from admin_service.lead_totals import total_of
from admin_service.pagination import READ_HEADERS, query_parameters
from shared.access import signed_in
from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT
from shared.openapi import answers, takes
from shared.reading import reading
from shared.times import utc_now

CHUNK = 250  # leads
NEWEST_FIRST = Order("createdAt", descending=True)

blueprint = Blueprint("exports", __name__)

_export_query = ExportQuery()


@blueprint.get("/api/leads/export")
@signed_in(ROLE_API_CLIENT)
@takes(query=_export_query)
@answers(EXPORT)
def export_leads() -> Response:
    """Every lead that was stored before this began, the newest first.

    What goes wrong after the first lines breaks the answer off: its last chunk does not come.
    """
    query = _export_query.load(query_parameters())
    for_admin = g.user.may(ROLE_ADMIN)
    wanted = filter_of(query, None if for_admin else g.user.id)
    file_format = FORMATS[query["format"]]
    chunks = walk(engine_of_app(), wanted, for_admin=for_admin)
    # Read before the status goes out: a database that is not there is still an error of its own.
    first = next(chunks, [])
    names = [name for name in LEAD["properties"] if for_admin or name != "clientEmail"]
    lines = (file_format.lines(names, leads) for leads in itertools.chain([first], chunks))
    body = itertools.chain([file_format.head(names)], lines)
    name = f"leads-{utc_now():%Y%m%dT%H%M%SZ}.{query['format']}"
    headers = {
        **READ_HEADERS,
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return Response(body, mimetype=file_format.media_type, headers=headers)


def walk(engine: Engine, wanted: LeadFilter, *, for_admin: bool) -> Iterator[list[dict[str, Any]]]:
    """The leads as they read back, CHUNK at a time, each chunk from a transaction of its own."""
    listing = Listing(wanted, NEWEST_FIRST, CHUNK)
    total = None
    while True:
        with reading(engine).connect() as connection:
            total = total or total_of(connection, wanted)
            rows = read_rows(connection, listing, total)
            there_is_more = len(rows) > CHUNK
            rows = rows[:CHUNK]
            leads = lead_bodies(rows, for_admin=for_admin)
        yield leads
        if not there_is_more:
            return
        listing = replace(listing, cursor=Cursor(1, NEWEST_FIRST.place_of(rows[-1])))

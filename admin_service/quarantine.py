"""Leads that could not be stored: looked at, corrected, sent again or discarded."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from flask import Blueprint, Response, current_app
from marshmallow import fields, validate
from sqlalchemy import select

from admin_service.database import engine_of_app
from admin_service.pagination import READ_HEADERS, PageSchema, page_of, query_parameters
from admin_service.periods import PeriodSchema
from admin_service.quarantine_answers import (
    CORRECTED,
    MANY_REPLAYED,
    ONE_QUARANTINED,
    QUARANTINED,
    REPLAYED,
    SOME,
)
from admin_service.quarantine_rows import COUNTED, conditions, item_of, number_of, read_items
from admin_service.replays import discard, replay, replay_many
from shared.access import signed_in
from shared.bodies import has_body, json_object
from shared.errors import ApiError, success, validation_failed
from shared.identity import ROLE_ADMIN
from shared.json_fields import JsonInteger, UrlFlag
from shared.lead_forms import LEAD_FORM, read_lead
from shared.models import quarantined_leads
from shared.openapi import DONE, answers, takes
from shared.publisher import Publisher
from shared.reading import reading

NOT_FOUND = "Quarantined lead not found"

blueprint = Blueprint("quarantine", __name__, url_prefix="/admin/api/quarantine")


class QuarantineFilter(PeriodSchema):
    """Which quarantined leads; `from` and `to` are when they were parked."""

    reason = fields.String(validate=validate.Length(1, 64))
    clientId = fields.Integer(
        validate=validate.Range(1, 2**63 - 1), metadata={"description": "leads of this partner"}
    )
    leadId = fields.UUID()


class ReplaySchema(QuarantineFilter):
    """Which leads are to be sent again, in a JSON body."""

    clientId = JsonInteger(
        validate=validate.Range(1, 2**63 - 1), metadata={"description": "leads of this partner"}
    )


class QuarantineQuery(QuarantineFilter, PageSchema):
    """The parameters of the list of quarantined leads."""

    resolved = UrlFlag(
        load_default=False, metadata={"description": "those that were replayed or discarded, or the others"}
    )


_query = QuarantineQuery()
_filter = ReplaySchema()


@blueprint.get("")
@signed_in(ROLE_ADMIN)
@takes(query=_query)
@answers(QUARANTINED)
def list_quarantined() -> Response:
    """One page of quarantined leads, the newest first. Pages go as far as the first 10,000."""
    query = _query.load(query_parameters())
    page, limit = query["page"], query["limit"]
    wanted = conditions(query, resolved=query["resolved"])
    with reading(engine_of_app()).connect() as connection:
        found = number_of(connection, wanted)
        if found > COUNTED and page * limit > COUNTED:
            raise validation_failed({"page": [f"Pages end after {COUNTED:,} leads: narrow the filter"]})
        offset = (page - 1) * limit
        items = read_items(connection, wanted, limit, offset) if offset < found else []
    data = page_of(items, page, limit, min(found, COUNTED), is_exact=found <= COUNTED)
    return success(200, "Quarantined leads", data, READ_HEADERS)


@blueprint.get("/<uuid:quarantine_id>")
@signed_in(ROLE_ADMIN)
@answers(ONE_QUARANTINED, errors=(404,))
def get_quarantined(quarantine_id: UUID) -> Response:
    """One quarantined lead, resolved or not."""
    with reading(engine_of_app()).connect() as connection:
        statement = select(quarantined_leads).where(quarantined_leads.c.id == quarantine_id)
        row = connection.execute(statement).first()
    if row is None:
        raise ApiError(404, NOT_FOUND)
    return success(200, "Quarantined lead", item_of(row, bytes(row.payload)), READ_HEADERS)


@blueprint.post("/<uuid:quarantine_id>/replay")
@signed_in(ROLE_ADMIN)
@takes(body=LEAD_FORM.schema, example=CORRECTED, body_required=False)
@answers(REPLAYED, errors=(404, 409))
def post_replay(quarantine_id: UUID) -> Response:
    """Sends a lead through the queue again, as it was or, with a body, corrected.

    It keeps its id, unless that belongs to another lead. If it cannot be stored again, it is back in
    quarantine with one attempt more.
    """
    corrected = None
    if has_body():
        corrected, _ = read_lead(json_object())
        corrected.pop("idempotencyKey", None)
    publisher = publisher_of_app()
    lead_id = replay(engine_of_app(), publisher, quarantine_id, corrected)
    data = {"id": quarantine_id, "leadId": lead_id, "status": "queued", "durability": publisher.durability}
    return success(202, "Lead is sent again", data)


@blueprint.post("/replay")
@signed_in(ROLE_ADMIN)
@takes(body=_filter, example=SOME)
@answers(MANY_REPLAYED)
def post_replay_of_many() -> Response:
    """Sends the leads that match through the queue again, up to 1,000 of them, the oldest first."""
    query = _filter.load(json_object())
    replayed, left = replay_many(engine_of_app(), publisher_of_app(), query)
    return success(202, f"{replayed} leads are sent again", {"replayed": replayed, "left": left})


@blueprint.delete("/<uuid:quarantine_id>")
@signed_in(ROLE_ADMIN)
@answers(DONE, errors=(404, 409))
def delete_quarantined(quarantine_id: UUID) -> Response:
    """Discards a lead: it stays to be looked at, and is never sent again."""
    discard(engine_of_app(), quarantine_id)
    return Response(status=204)


def publisher_of_app() -> Publisher:
    """The Publisher that the current app was built with."""
    return cast(Publisher, current_app.extensions["leadgate.publisher"])

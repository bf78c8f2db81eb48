"""How a lead comes in: who sends it, is it valid, is it durable, answer."""

from __future__ import annotations

import logging
from typing import Any, cast

from flask import Blueprint, Response, current_app, g, request
from uuid_utils.compat import uuid7

from ingest_service.answers import LEAD, LEAD_ACCEPTED, LEAD_SAVED, TRACKED_LEAD
from ingest_service.publisher import Publisher
from ingest_service.schemas import LEAD_FORM, TRACKING_FORM, Form, LeadFlags, read_lead
from ingest_service.stored_duplicates import StoredDuplicates
from shared.access import signed_in
from shared.bodies import json_object
from shared.errors import ApiError, answer, success
from shared.identity import ROLE_API_CLIENT
from shared.messages import Lead, encode_lead
from shared.openapi import answers, takes
from shared.queues import NotConfirmed
from shared.times import format_time, utc_now

log = logging.getLogger("leadgate.leads")

blueprint = Blueprint("leads", __name__)

_flags = LeadFlags()


@blueprint.post("/api/leads")
@signed_in(ROLE_API_CLIENT)
@takes(body=LEAD_FORM.schema, example=LEAD, query=_flags)
@answers(LEAD_ACCEPTED, errors=(409,))
def post_lead() -> Response:
    """Accepts one lead: 201 once it is durable.

    With `dryRun=true` the lead is only looked at: 200, and null for what only an accepted lead has.
    """
    flags = _flags.load(request.args.to_dict())
    lead, warnings = _read(LEAD_FORM, flags["strict"])
    data: dict[str, Any] = {"id": None, "status": "valid", "durability": None, "receivedAt": None}
    code, message, headers = 200, "Lead is valid", {}
    if not flags["dryRun"]:
        durability, received_at = _make_durable(lead), format_time(lead.received_at)
        data = {"id": lead.id, "status": "queued", "durability": durability, "receivedAt": received_at}
        code, message, headers = 201, "Lead accepted", {"Location": f"/api/leads/{lead.id}"}
    if warnings:
        data["warnings"] = warnings
    return success(code, message, data, headers)


@blueprint.post("/api/tracking/")
@signed_in(ROLE_API_CLIENT)
@takes(body=TRACKING_FORM.schema, example=TRACKED_LEAD, query=_flags)
@answers(LEAD_SAVED, errors=(409,))
def post_tracked_lead() -> Response:
    """Accepts one lead as the first seed's clients send it, and answers as they expect.

    With `dryRun=true` the lead is only looked at: 200, `status` is `valid`, and `id` null.
    """
    flags = _flags.load(request.args.to_dict())
    lead, warnings = _read(TRACKING_FORM, flags["strict"])
    body: dict[str, Any] = {"status": "valid", "message": "Data is valid", "id": None}
    code = 200
    if not flags["dryRun"]:
        _make_durable(lead)
        code, body = 201, {"status": "Ok", "message": "Data has been successfully saved", "id": lead.id}
    if warnings:
        body["warnings"] = warnings
    return answer(code, body)


def _read(form: Form, strict: bool) -> tuple[Lead, list[str]]:
    """The valid lead in the body of the current request, received now, and warnings.

    Raises ApiError 409 for a duplicate of a stored lead, if those are to be refused.
    """
    content, warnings = read_lead(json_object(), form, strict=strict)
    lead = Lead(
        id=uuid7(),
        client_id=g.user.id,
        received_at=utc_now(),
        request_id=g.request_id,
        content=content,
        traceparent=request.headers.get("traceparent"),
    )
    stored: StoredDuplicates | None = current_app.extensions["leadgate.stored_duplicates"]
    if stored is not None and stored.has_first_of(lead):
        raise ApiError(409, "Duplicate lead detected")
    return lead, warnings


def _make_durable(lead: Lead) -> str:
    """What the lead rests on, once it does. Raises ApiError 503 if that cannot be had in time."""
    publisher = publisher_of_app()
    try:
        publisher.accept([encode_lead(lead)])
    except NotConfirmed as error:
        log.warning("lead %s is not accepted: %s", lead.id, error)
        raise ApiError(
            503, "The lead could not be stored safely; send it again", headers={"Retry-After": "5"}
        ) from None
    return publisher.durability


def publisher_of_app() -> Publisher:
    """The Publisher that the current app was built with."""
    return cast(Publisher, current_app.extensions["leadgate.publisher"])

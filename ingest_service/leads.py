"""How a lead comes in: who sends it, is it valid, is it durable, answer."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from ingest_service.accepting import DUPLICATE, make_durable, reception, refused_duplicates
from ingest_service.answers import LEAD, LEAD_ACCEPTED, LEAD_SAVED, TRACKED_LEAD
from ingest_service.idempotency import HEADER, key_of_request
from ingest_service.schemas import FLAGS, flags_of_request
from shared.access import signed_in
from shared.bodies import json_object
from shared.errors import ApiError, answer, success
from shared.identity import ROLE_API_CLIENT
from shared.lead_forms import LEAD_FORM, TRACKING_FORM, Form, read_lead
from shared.messages import Lead, encode_lead
from shared.openapi import answers, takes
from shared.times import format_time

blueprint = Blueprint("leads", __name__)


@blueprint.post("/api/leads")
@signed_in(ROLE_API_CLIENT)
@takes(body=LEAD_FORM.schema, example=LEAD, query=FLAGS, headers=(HEADER,))
@answers(LEAD_ACCEPTED, errors=(409,))
def post_lead() -> Response:
    """Accepts one lead: 201 once it is durable.

    With `dryRun=true` the lead is only looked at: 200, and null for what only an accepted lead has. A key of
    its own in `idempotencyKey` wins over the one in the header.
    """
    flags = flags_of_request()
    lead, warnings = _read(LEAD_FORM, flags["strict"])
    data: dict[str, Any] = {"id": None, "status": "valid", "durability": None, "receivedAt": None}
    code, message, headers = 200, "Lead is valid", {}
    if not flags["dryRun"]:
        durability, received_at = make_durable([encode_lead(lead)]), format_time(lead.received_at)
        data = {"id": lead.id, "status": "queued", "durability": durability, "receivedAt": received_at}
        code, message, headers = 201, "Lead accepted", {"Location": f"/api/leads/{lead.id}"}
    if warnings:
        data["warnings"] = warnings
    return success(code, message, data, headers)


@blueprint.post("/api/tracking/")
@signed_in(ROLE_API_CLIENT)
@takes(body=TRACKING_FORM.schema, example=TRACKED_LEAD, query=FLAGS, headers=(HEADER,))
@answers(LEAD_SAVED, errors=(409,))
def post_tracked_lead() -> Response:
    """Accepts one lead as the first seed's clients send it, and answers as they expect.

    With `dryRun=true` the lead is only looked at: 200, `status` is `valid`, and `id` null.
    """
    flags = flags_of_request()
    lead, warnings = _read(TRACKING_FORM, flags["strict"])
    body: dict[str, Any] = {"status": "valid", "message": "Data is valid", "id": None}
    code = 200
    if not flags["dryRun"]:
        make_durable([encode_lead(lead)])
        code, body = 201, {"status": "Ok", "message": "Data has been successfully saved", "id": lead.id}
    if warnings:
        body["warnings"] = warnings
    return answer(code, body)


def _read(form: Form, strict: bool) -> tuple[Lead, list[str]]:
    """The valid lead in the body of the current request, received now, and warnings.

    Raises ApiError 409 for a duplicate of a stored lead, if those are to be refused.
    """
    key = key_of_request()
    content, warnings = read_lead(json_object(), form, strict=strict)
    lead = reception(key).receive(content)
    if any(refused_duplicates([lead])):
        raise ApiError(409, DUPLICATE)
    return lead, warnings

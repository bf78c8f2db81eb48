"""How a lead comes in: who sends it, is it valid, is it durable, answer."""

from __future__ import annotations

import logging
from typing import cast

from flask import Blueprint, Response, current_app, g, request
from uuid_utils.compat import uuid7

from ingest_service.answers import LEAD, LEAD_ACCEPTED
from ingest_service.publisher import Publisher
from ingest_service.schemas import LeadFlags, lead_schema, read_lead
from shared.access import signed_in
from shared.bodies import json_object
from shared.errors import ApiError, answer
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
@takes(body=lead_schema, example=LEAD, query=_flags)
@answers(LEAD_ACCEPTED)
def post_lead() -> Response:
    """Accepts one lead: 201 once it is durable."""
    content, warnings = read_lead(json_object(), strict=_flags.load(request.args.to_dict())["strict"])
    lead = Lead(
        id=uuid7(),
        client_id=g.user.id,
        received_at=utc_now(),
        request_id=g.request_id,
        content=content,
        traceparent=request.headers.get("traceparent"),
    )
    durability = _make_durable(lead)
    data = {
        "id": lead.id,
        "status": "queued",
        "durability": durability,
        "receivedAt": format_time(lead.received_at),
    }
    if warnings:
        data["warnings"] = warnings
    body = {"status": "success", "code": 201, "message": "Lead accepted", "data": data}
    return answer(201, body, {"Location": f"/api/leads/{lead.id}"})


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

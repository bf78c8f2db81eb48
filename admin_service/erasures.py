"""Erasing personal data: of an email, or of one lead."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from flask import Blueprint, Response, current_app
from marshmallow import Schema, fields, validate

from admin_service.answers import ERASED
from admin_service.database import engine_of_app
from admin_service.erasing import erase_email, erase_lead
from admin_service.pagination import id_in_url
from shared.access import signed_in
from shared.bodies import json_object
from shared.email_hashes import EmailHashes
from shared.erasures import Erasures
from shared.errors import ApiError, success
from shared.identity import ROLE_ADMIN
from shared.json_fields import EMAIL_LENGTH, EMAIL_MESSAGE, EmailUpToLength
from shared.openapi import DONE, answers, takes
from shared.times import utc_now

NOT_FOUND = "Lead not found"

blueprint = Blueprint("erasures", __name__)


class ErasureSchema(Schema):
    """Who is to be erased."""

    email = fields.String(
        required=True,
        validate=[EmailUpToLength(error=EMAIL_MESSAGE), validate.Length(max=EMAIL_LENGTH)],
    )


_erasure = ErasureSchema()


@blueprint.post("/admin/api/erasures")
@signed_in(ROLE_ADMIN)
@takes(body=_erasure, example={"email": "who.asked.for.it@example.com"})
@answers(ERASED)
def post_erasure() -> Response:
    """Erases a person: all leads of that email, in whichever way it is written, and what logs say of it.

    What was accepted before and is still on its way does not come back; what is posted from now on is taken.
    """
    email = _erasure.load(json_object())["email"]
    erased = erase_email(engine_of_app(), erasures_of_app(), email, utc_now())
    return success(200, "Erased", {"erased": erased})


@blueprint.delete("/admin/api/leads/<lead_id>")
@signed_in(ROLE_ADMIN)
@answers(DONE, errors=(404,))
def delete_lead(lead_id: str) -> Response:
    """Erases one lead, stored or quarantined, and what logs say of it."""
    id = id_in_url(lead_id, NOT_FOUND)
    if not erase_lead(engine_of_app(), erasures_of_app(), id, utc_now()):
        raise ApiError(404, NOT_FOUND)
    return Response(status=204)


def erasures_of_app() -> Erasures:
    """What the current app notes erasures with."""
    open_hashes = cast(Callable[[], EmailHashes], current_app.extensions["leadgate.email_hashes"])
    return Erasures(open_hashes())

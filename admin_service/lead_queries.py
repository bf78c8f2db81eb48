"""The parameters of `GET /api/leads` and `GET /api/leads/{id}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from admin_service.lead_cursors import CURSOR_LENGTH
from admin_service.lead_filters import EARLIEST, LATEST, LISTED, LeadFilter
from admin_service.lead_order import SORTS
from admin_service.pagination import SortedPageSchema
from admin_service.periods import PeriodSchema, plus_again
from shared.columns import sort_key
from shared.errors import validation_failed

MAX_WAIT_SECONDS = 10


class Phone(fields.String):
    """A phone number as it was sent."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        return plus_again(super()._deserialize(value, attr, data, **kwargs), r" \d+")


class LeadFilterSchema(PeriodSchema):
    """The filters of a listing; its period is when leads were created."""

    email = fields.String(
        validate=validate.Length(1, 255),
        metadata={"description": "leads with this email, after NFKC and case folding"},
    )
    phone = Phone(
        validate=validate.Length(1, 50), metadata={"description": "leads with exactly this phone number"}
    )
    status = fields.String(validate=validate.OneOf(LISTED))
    clientId = fields.Integer(
        validate=validate.Range(1, 2**63 - 1),
        metadata={"description": "leads of this partner (admins only)"},
    )
    test = fields.Boolean(truthy={"true"}, falsy={"false"}, metadata={"description": "test leads, or others"})


class LeadsQuery(LeadFilterSchema, SortedPageSchema):
    """The parameters of `GET /api/leads`."""

    sortBy = fields.String(load_default="createdAt", validate=validate.OneOf(list(SORTS)))
    cursor = fields.String(
        validate=validate.Length(1, CURSOR_LENGTH),
        metadata={"description": "`nextCursor` of the page before, with the same filters and order"},
    )

    @validates_schema(pass_original=True)
    def page_or_cursor(self, data: dict[str, Any], original: Mapping[str, Any], **_: Any) -> None:
        if "cursor" in original and "page" in original:
            raise ValidationError("This value does not go together with `cursor`", "page")


class ExportQuery(LeadFilterSchema):
    """The parameters of `GET /api/leads/export`."""

    format = fields.String(load_default="csv", validate=validate.OneOf(["csv", "ndjson"]))


class LeadQuery(Schema):
    """The parameters of `GET /api/leads/{id}`."""

    wait = fields.Float(
        load_default=0.0,
        validate=validate.Range(0, MAX_WAIT_SECONDS),
        metadata={"description": "seconds to hold the answer at most until the lead is there"},
    )


def filter_of(query: Mapping[str, Any], own_client_id: int | None) -> LeadFilter:
    """The filter that a loaded LeadFilterSchema asks for.

    `own_client_id` is that of a partner, who sees no other leads, and None for an admin. Raises ApiError 400.
    """
    if own_client_id is not None and "clientId" in query:
        raise validation_failed({"clientId": ["Only admins may ask for the leads of one client"]})
    return LeadFilter(
        client_id=query.get("clientId", own_client_id),
        email_key=sort_key(query["email"]) if "email" in query else None,
        phone=query.get("phone"),
        status=query.get("status"),
        test=query.get("test"),
        begin=query.get("from_", EARLIEST),
        end=query.get("to", LATEST),
    )

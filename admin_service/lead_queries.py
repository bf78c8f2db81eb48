"""The parameters of `GET /api/leads` and `GET /api/leads/{id}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from admin_service.lead_cursors import CURSOR_LENGTH
from admin_service.lead_filters import EARLIEST, LATEST, LISTED, LeadFilter
from admin_service.lead_order import SORTS
from admin_service.pagination import SortedPageSchema
from shared.columns import sort_key
from shared.errors import validation_failed
from shared.times import parse_time

MAX_WAIT_SECONDS = 10
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"(?i)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_FAULT = "This value is no time as in 2026-11-21T09:30:00Z or 2026-11-21T10:30:00+01:00, and no date"


class Moment(fields.Field[datetime]):
    """A time of RFC 3339, or a date: the beginning of that day in UTC."""

    json_schema = {"type": "string", "examples": ["2026-11-21T09:30:00Z", "2026-11-21"]}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> datetime:
        text = _plus_again(value, r"T.* \d\d:\d\d")
        try:
            if _DATE.fullmatch(text):
                moment = datetime.combine(datetime.fromisoformat(text), time(), UTC)
            elif _TIME.fullmatch(text):
                moment = parse_time(_without_nanoseconds(text.upper()))
            else:
                raise ValueError
        except ValueError:
            raise ValidationError(_FAULT) from None
        return min(max(moment, EARLIEST), LATEST)


class Phone(fields.String):
    """A phone number as it was sent."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        return _plus_again(super()._deserialize(value, attr, data, **kwargs), r" \d+")


class LeadFilterSchema(Schema):
    """The filters of a listing."""

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
    from_ = Moment(
        data_key="from", metadata={"description": "leads created then or later (RFC 3339, or a date in UTC)"}
    )
    to = Moment(metadata={"description": "leads created before then (RFC 3339, or a date in UTC)"})
    test = fields.Boolean(truthy={"true"}, falsy={"false"}, metadata={"description": "test leads, or others"})

    @validates_schema
    def in_order(self, data: dict[str, Any], **_: Any) -> None:
        if "from_" in data and "to" in data and data["to"] < data["from_"]:
            raise ValidationError("This value lies before `from`", "to")


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


def _plus_again(text: str, shape: str) -> str:
    """A `+` that was not escaped in the URL arrives as a blank; where only a plus makes sense, it is one."""
    return text.replace(" ", "+") if re.search(rf"\A[^ ]*{shape}\Z", text, re.ASCII) else text


def _without_nanoseconds(text: str) -> str:
    return re.sub(r"(\.\d{6})\d+", r"\1", text)

"""The parameters `from` and `to` of a list."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, validates_schema

from admin_service.lead_queries import Moment


class PeriodSchema(Schema):
    """A time that begins with `from` and ends before `to`."""

    from_ = Moment(data_key="from", metadata={"description": "then or later (RFC 3339, or a date in UTC)"})
    to = Moment(metadata={"description": "before then (RFC 3339, or a date in UTC)"})

    @validates_schema
    def in_order(self, data: dict[str, Any], **_: Any) -> None:
        if "from_" in data and "to" in data and data["to"] < data["from_"]:
            raise ValidationError("This value lies before `from`", "to")

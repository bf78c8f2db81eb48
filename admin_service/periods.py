"""The parameters `from` and `to` of a list."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from admin_service.lead_filters import EARLIEST, LATEST
from shared.times import parse_time

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"(?i)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_FAULT = "This value is no time as in 2026-11-21T09:30:00Z or 2026-11-21T10:30:00+01:00, and no date"


class Moment(fields.Field[datetime]):
    """A time of RFC 3339, or a date: the beginning of that day in UTC."""

    json_schema = {"type": "string", "examples": ["2026-11-21T09:30:00Z", "2026-11-21"]}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> datetime:
        try:
            if not isinstance(value, str):
                raise ValueError
            text = plus_again(value, r"T.* \d\d:\d\d")
            if _DATE.fullmatch(text):
                moment = datetime.combine(datetime.fromisoformat(text), time(), UTC)
            elif _TIME.fullmatch(text):
                moment = parse_time(_without_nanoseconds(text.upper()))
            else:
                raise ValueError
        except ValueError:
            raise ValidationError(_FAULT) from None
        return min(max(moment, EARLIEST), LATEST)


class PeriodSchema(Schema):
    """A time that begins with `from` and ends before `to`."""

    from_ = Moment(data_key="from", metadata={"description": "then or later (RFC 3339, or a date in UTC)"})
    to = Moment(metadata={"description": "before then (RFC 3339, or a date in UTC)"})

    @validates_schema
    def in_order(self, data: dict[str, Any], **_: Any) -> None:
        if "from_" in data and "to" in data and data["to"] < data["from_"]:
            raise ValidationError("This value lies before `from`", "to")


def plus_again(text: str, shape: str) -> str:
    """A `+` that was not escaped in the URL arrives as a blank; where only a plus makes sense, it is one."""
    return text.replace(" ", "+") if re.search(rf"\A[^ ]*{shape}\Z", text, re.ASCII) else text


def _without_nanoseconds(text: str) -> str:
    return re.sub(r"(\.\d{6})\d+", r"\1", text)

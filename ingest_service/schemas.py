"""What a lead must look like (contract, section 4)."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any

import orjson
from marshmallow import EXCLUDE, INCLUDE, Schema, ValidationError, fields, validate

from shared.countries import COUNTRY_CODES
from shared.errors import validation_failed
from shared.json_fields import JsonBoolean, UrlFlag
from shared.times import Clock, utc_now

ADDITIONAL_BYTES = 16 * 1024
ADDITIONAL_DEPTH = 8

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_PHONE = re.compile(r"\+?[1-9][0-9]{1,14}\Z")
PHONE_MESSAGE = r"This value should match pattern: /^\+?[1-9]\d{1,14}$/"
_PHONE_TEMPLATE = PHONE_MESSAGE.replace("{", "{{").replace("}", "}}")  # marshmallow formats its messages
EMAIL_MESSAGE = "This value is not a valid email address"


class PlainDate(fields.String):
    """A date that exists, as `YYYY-MM-DD` and nothing else that ISO 8601 allows."""

    json_schema = {"format": "date"}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            if not _DATE.match(text):
                raise ValueError
            datetime.date.fromisoformat(text)
        except ValueError:
            raise ValidationError("This value is not a valid date (YYYY-MM-DD)") from None
        return text


class JsonObject(fields.Field[dict[str, Any]]):
    """A JSON object of at most ADDITIONAL_BYTES, at most ADDITIONAL_DEPTH levels deep."""

    json_schema = {"type": "object"}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("This value should be an object")
        if _depth(value) > ADDITIONAL_DEPTH:
            raise ValidationError(f"This value is nested more than {ADDITIONAL_DEPTH} levels deep")
        if len(orjson.dumps(value)) > ADDITIONAL_BYTES:
            raise ValidationError(f"This value is longer than {ADDITIONAL_BYTES} bytes")
        return value


def _optional_text(length: int) -> fields.String:
    return fields.String(allow_none=True, validate=validate.Length(max=length))


class LeadSchema(Schema):
    """A lead of `POST /api/leads`."""

    class Meta:
        unknown = INCLUDE  # read_lead has moved what is unknown to where it is kept

    firstName = fields.String(required=True, validate=validate.Length(min=2, max=255))
    lastName = fields.String(required=True, validate=validate.Length(min=2, max=255))
    email = fields.String(
        required=True, validate=[validate.Email(error=EMAIL_MESSAGE), validate.Length(max=255)]
    )
    phone = fields.String(required=True, validate=validate.Regexp(_PHONE, error=_PHONE_TEMPLATE))
    dateOfBirth = PlainDate(required=True)
    city = _optional_text(255)
    zipCode = _optional_text(20)
    provinceCode = fields.String(allow_none=True, validate=validate.Length(equal=2))
    countryCode = fields.String(
        allow_none=True,
        validate=validate.OneOf(
            COUNTRY_CODES, error="This value is not an assigned ISO 3166-1 code in capitals"
        ),
    )
    verticals = fields.List(fields.String(), allow_none=True)
    clientReference = _optional_text(100)
    test = JsonBoolean(allow_none=True)
    additionalData = JsonObject(allow_none=True)


class LeadFlags(Schema):
    """How a lead is to be taken; parameters that others add are none of ours."""

    class Meta:
        unknown = EXCLUDE

    strict = UrlFlag(load_default=False)


lead_schema = LeadSchema()


def read_lead(
    body: dict[str, Any], *, strict: bool = False, now: Clock = utc_now
) -> tuple[dict[str, Any], list[str]]:
    """The validated content of a posted lead, and warnings.

    An unknown field is kept under `additionalData` and named in a warning; if `strict`, it is refused.
    Raises ValidationError or ApiError 400 that blame the fields at fault.
    """
    unknown = sorted(body.keys() - lead_schema.fields.keys())
    if strict and unknown:
        raise validation_failed({name: ["Unknown field."] for name in unknown})
    if unknown:
        body = _keep_unknown(body, unknown)
    content = lead_schema.load(body)
    # Years have four digits, so the texts sort as the dates do.
    if content["dateOfBirth"] > now().date().isoformat():
        raise validation_failed({"dateOfBirth": ["This value lies in the future"]})
    present = {name: value for name, value in content.items() if value is not None}
    return present, [f"Unknown field `{name}` is kept under additionalData" for name in unknown]


def _keep_unknown(body: dict[str, Any], unknown: list[str]) -> dict[str, Any]:
    additional = body.get("additionalData")
    additional = {} if additional is None else additional
    if not isinstance(additional, dict):
        return body  # the schema will say what is wrong with it
    clashes = [name for name in unknown if name in additional]
    if clashes:
        message = "This field is unknown, and additionalData has a field of that name too"
        raise validation_failed({name: [message] for name in clashes})
    known = {name: value for name, value in body.items() if name not in unknown}
    return known | {"additionalData": additional | {name: body[name] for name in unknown}}


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0

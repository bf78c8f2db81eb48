"""What a lead must look like (contract, section 4)."""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from marshmallow import INCLUDE, Schema, ValidationError, fields, validate

from shared.countries import COUNTRY_CODES
from shared.errors import ApiError, validation_failed
from shared.json_fields import EMAIL_LENGTH, EMAIL_MESSAGE, EmailUpToLength, JsonBoolean
from shared.quick_schema import QuickSchema
from shared.times import Clock, utc_now

ADDITIONAL_BYTES = 16 * 1024
ADDITIONAL_DEPTH = 8
MAX_BLAMED = 100  # fields named for one lead in one answer
MAX_KEY_LENGTH = 255

_TEXT = {str}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_PHONE = re.compile(r"\+?[1-9][0-9]{1,14}\Z")
PHONE_MESSAGE = r"This value should match pattern: /^\+?[1-9]\d{1,14}$/"
_PHONE_TEMPLATE = PHONE_MESSAGE.replace("{", "{{").replace("}", "}}")  # marshmallow formats its messages


class PlainDate(fields.String):
    """A date that exists, as `YYYY-MM-DD` and nothing else that ISO 8601 allows."""

    json_schema = {"format": "date"}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        text = value if type(value) is str else super()._deserialize(value, attr, data, **kwargs)
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
        excess = _excess(value)
        if excess is not None:
            raise ValidationError(f"This value is {excess}")
        return value


class TextList(fields.List[Any]):
    """A list of strings, read no further than to the MAX_BLAMED-th item that is none.

    A body of 1 MiB can have half a million of them; an answer that blames each would be far longer than it.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(fields.String(), **more)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> list[Any]:
        if isinstance(value, list):
            if set(map(type, value)) <= _TEXT:
                return value  # nothing to read in a text: field by field that is 7 µs for each
            faults = (place for place, item in enumerate(value) if not isinstance(item, str))
            last = next(itertools.islice(faults, MAX_BLAMED - 1, None), None)
            value = value if last is None else value[: last + 1]
        return super()._deserialize(value, attr, data, **kwargs)


def _email() -> fields.String:
    checks = [EmailUpToLength(error=EMAIL_MESSAGE), validate.Length(max=EMAIL_LENGTH)]
    return fields.String(required=True, validate=checks)


def _optional_text(length: int) -> fields.String:
    return fields.String(allow_none=True, validate=validate.Length(max=length))


class LeadSchema(QuickSchema):
    """A lead of `POST /api/leads`."""

    class Meta:
        unknown = INCLUDE  # read_lead has moved what is unknown to where it is kept

    firstName = fields.String(required=True, validate=validate.Length(min=2, max=255))
    lastName = fields.String(required=True, validate=validate.Length(min=2, max=255))
    email = _email()
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
    verticals = TextList(allow_none=True)
    clientReference = _optional_text(100)
    test = JsonBoolean(allow_none=True)
    idempotencyKey = fields.String(allow_none=True, validate=validate.Length(min=1, max=MAX_KEY_LENGTH))
    additionalData = JsonObject(allow_none=True)


def _short_text(length: int) -> fields.String:
    error = f"This value is too long, it should have {length} characters or less"
    return fields.String(allow_none=True, validate=validate.Length(max=length, error=error))


class TrackingSchema(QuickSchema):
    """A lead of `POST /api/tracking/`: the first seed's fields, loaded under the names of `/api/leads`."""

    class Meta:
        unknown = INCLUDE

    email = _email()
    verticals = TextList(
        required=True,
        validate=validate.Length(min=1, error="This value should not be blank"),
    )
    firstName = _short_text(100)
    lastName = _short_text(100)
    phone = _short_text(50)
    dateOfBirth = PlainDate(data_key="dob", allow_none=True)
    city = _short_text(255)
    provinceCode = _short_text(2)
    countryCode = _short_text(2)
    zipCode = _short_text(20)
    additionalData = JsonObject(data_key="extraData", allow_none=True)


class Form:
    """One way to write a lead: a schema, and what its fields are called in the body."""

    def __init__(self, schema: Schema) -> None:
        called = {name: field.data_key or name for name, field in schema.fields.items()}
        self.schema = schema
        self.names = frozenset(called.values())
        self.date_of_birth = called["dateOfBirth"]
        self.catch_all = called["additionalData"]  # keeps what is unknown


LEAD_FORM = Form(LeadSchema())
TRACKING_FORM = Form(TrackingSchema())


def read_lead(
    body: dict[str, Any], form: Form = LEAD_FORM, *, strict: bool = False, now: Clock = utc_now
) -> tuple[dict[str, Any], list[str]]:
    """The validated content of a posted lead under the names of `/api/leads`, and warnings.

    An unknown field is kept in the form's catch-all field and named in a warning; if `strict`, it is refused.
    Raises ValidationError or ApiError 400 that blame the fields at fault.
    """
    unknown: list[str] = []
    if not body.keys() <= form.names:
        unknown = sorted(body.keys() - form.names)
        if strict:
            raise _blamed(unknown, "Unknown field.")
        body = _keep_unknown(body, form, unknown)
    content = form.schema.load(body)
    # Years have four digits, so the texts sort as the dates do.
    if (content.get("dateOfBirth") or "") > now().date().isoformat():
        raise validation_failed({form.date_of_birth: ["This value lies in the future"]})
    if None in content.values():
        content = {name: value for name, value in content.items() if value is not None}
    return content, [f"Unknown field `{name}` is kept under {form.catch_all}" for name in unknown]


def _keep_unknown(body: dict[str, Any], form: Form, unknown: Sequence[str]) -> dict[str, Any]:
    """The body with its unknown fields moved. Raises ApiError 400 naming those that cannot be."""
    known = {name: body[name] for name in body.keys() & form.names}
    kept = body.get(form.catch_all)
    kept = {} if kept is None else kept
    if not isinstance(kept, dict):
        return known  # the schema will say what is wrong with it
    clashes = [name for name in unknown if name in kept]
    if clashes:
        raise _blamed(clashes, f"This value is not known, and {form.catch_all} has a field of that name too")
    together = kept | {name: body[name] for name in unknown}
    excess = _excess(together)
    if excess is not None and _excess(kept) is None:
        # The partner may have sent no catch-all field at all: to blame is what we would put there.
        blamed = [name for name in unknown if _excess({name: body[name]})] or unknown
        raise _blamed(blamed, f"This value is not known, and with it {form.catch_all} would be {excess}")
    return known | {form.catch_all: together}


def _blamed(names: Sequence[str], message: str) -> ApiError:
    return validation_failed({name: [message] for name in names[:MAX_BLAMED]})


def _excess(value: dict[str, Any]) -> str | None:
    """What is too much about an object that is kept as it stands."""
    encoded = orjson.dumps(value)
    # So few brackets cannot be deeper, wherever they are.
    brackets = encoded.count(b"{") + encoded.count(b"[")
    if brackets > ADDITIONAL_DEPTH and _depth(value) > ADDITIONAL_DEPTH:
        return f"nested more than {ADDITIONAL_DEPTH} levels deep"
    if len(encoded) > ADDITIONAL_BYTES:
        return f"longer than {ADDITIONAL_BYTES} bytes"
    return None


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0

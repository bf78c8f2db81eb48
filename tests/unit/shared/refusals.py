"""What a partner is told about a bad lead."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from marshmallow import ValidationError

from shared.errors import ApiError, dotted
from shared.lead_forms import LEAD_FORM, TRACKING_FORM, Form, read_lead
from tests.factories import lead_body, tracking_body

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)

REQUIRED = ["Missing data for required field."]
NULL = ["Field may not be null."]
NO_TEXT = ["Not a valid string."]
EMAIL = ["This value is not a valid email address"]
PHONE = [r"This value should match pattern: /^\+?[1-9]\d{1,14}$/"]
DATE = ["This value is not a valid date (YYYY-MM-DD)"]
FUTURE = ["This value lies in the future"]
BOOLEAN = ["This value should be of type bool."]
COUNTRY = ["This value is not an assigned ISO 3166-1 code in capitals"]

OPTIONAL: dict[str, Any] = {
    "city": "Zürich",
    "zipCode": "8001",
    "provinceCode": "ZH",
    "countryCode": "CH",
    "verticals": ["solar", "wind"],
    "clientReference": "ref-1",
    "test": True,
    "additionalData": {"source": "web"},
}

# Fields of `/api/tracking/` that read back under another name.
READ_BACK_AS = {"dob": "dateOfBirth", "extraData": "additionalData"}


def errors_of(
    body: dict[str, Any], form: Form = LEAD_FORM, *, strict: bool = False, now: datetime = NOON
) -> dict[str, list[str]]:
    """What the partner is told about a bad lead, by dotted path."""
    with pytest.raises((ValidationError, ApiError)) as refused:
        read_lead(body, form, strict=strict, now=lambda: now)
    error = refused.value
    if isinstance(error, ValidationError):
        return dotted(error.messages)
    assert isinstance(error, ApiError)
    assert (error.code, error.message) == (400, "Validation failed")
    assert error.errors
    return error.errors


def fault(field: str, value: Any, form: Form = LEAD_FORM, now: datetime = NOON) -> list[str]:
    """The messages about `field` when it is `value` and all others are good."""
    errors = errors_of(good_body(form) | {field: value}, form, now=now)
    assert list(errors) == [field]
    return errors[field]


def accepted(field: str, value: Any, form: Form = LEAD_FORM, now: datetime = NOON) -> bool:
    """Whether a lead is taken and `field` kept as it is when it is `value`."""
    content, warnings = read_lead(good_body(form) | {field: value}, form, now=lambda: now)
    return bool(content[READ_BACK_AS.get(field, field)] == value and not warnings)


def good_body(form: Form) -> dict[str, Any]:
    """A body that is taken."""
    return tracking_body() if form is TRACKING_FORM else lead_body()

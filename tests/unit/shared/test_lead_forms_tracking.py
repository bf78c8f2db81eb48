"""What a lead of the first seed must look like: every rule of `POST /api/tracking/` (contract, section 4)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.lead_forms import TRACKING_FORM, read_lead
from tests.factories import tracking_body
from tests.unit.shared.refusals import (
    DATE,
    EMAIL,
    FUTURE,
    NO_TEXT,
    NULL,
    REQUIRED,
    accepted,
    errors_of,
    fault,
)

TEXTS = {
    "firstName": 100,
    "lastName": 100,
    "phone": 50,
    "city": 255,
    "provinceCode": 2,
    "countryCode": 2,
    "zipCode": 20,
}
OPTIONAL = [*TEXTS, "dob", "extraData"]


def test_every_field_is_kept_under_its_name_on_the_other_route() -> None:
    body = tracking_body()
    kept = {name: value for name, value in body.items() if name not in ("dob", "extraData")}
    kept |= {"dateOfBirth": body["dob"], "additionalData": body["extraData"]}
    assert read_lead(body, TRACKING_FORM) == (kept, [])


def test_email_and_verticals_are_enough() -> None:
    body = {"email": "a@b.co", "verticals": ["solar"]}
    assert read_lead(body, TRACKING_FORM) == (body, [])
    assert read_lead(body, TRACKING_FORM, strict=True) == (body, [])


def test_email_and_verticals_are_required() -> None:
    assert errors_of({}, TRACKING_FORM) == {"email": REQUIRED, "verticals": REQUIRED}
    assert fault("email", None, TRACKING_FORM) == NULL
    assert fault("verticals", None, TRACKING_FORM) == NULL
    assert fault("verticals", [], TRACKING_FORM) == ["This value should not be blank"]


@pytest.mark.parametrize("field", OPTIONAL)
def test_an_optional_field_that_is_null_counts_as_absent(field: str) -> None:
    body = tracking_body(**{field: None})
    assert read_lead(body | {field: None}, TRACKING_FORM) == read_lead(body, TRACKING_FORM)


@pytest.mark.parametrize(("field", "length"), TEXTS.items())
def test_optional_text_may_be_empty_and_has_a_longest_length(field: str, length: int) -> None:
    assert accepted(field, "", TRACKING_FORM)
    assert accepted(field, "ä" * length, TRACKING_FORM)
    too_long = [f"This value is too long, it should have {length} characters or less"]
    assert fault(field, "ä" * (length + 1), TRACKING_FORM) == too_long


@pytest.mark.parametrize("value", [1, True, ["a"], {"a": 1}])
@pytest.mark.parametrize("field", ["email", "dob", *TEXTS])
def test_text_must_be_text(field: str, value: Any) -> None:
    assert fault(field, value, TRACKING_FORM) == NO_TEXT


@pytest.mark.parametrize("email", ["", "plain", "a@b", "a@example.com\n"])
def test_an_email_that_is_not_valid_is_refused(email: str) -> None:
    assert fault("email", email, TRACKING_FORM) == EMAIL


@pytest.mark.parametrize("date", ["", "2023-02-29", "29.02.1984", "1984-02-29T00:00:00", "1984-02-29\n"])
def test_what_is_no_date_is_refused(date: str) -> None:
    assert fault("dob", date, TRACKING_FORM) == DATE


def test_nobody_was_born_tomorrow() -> None:
    just_before_midnight = datetime(2026, 6, 1, 23, 59, 59, tzinfo=UTC)
    assert accepted("dob", "2026-06-01", TRACKING_FORM, just_before_midnight)
    assert fault("dob", "2026-06-02", TRACKING_FORM, just_before_midnight) == FUTURE


@pytest.mark.parametrize("value", ["solar", {"0": "solar"}, 1])
def test_verticals_that_are_no_list_are_refused(value: Any) -> None:
    assert fault("verticals", value, TRACKING_FORM) == ["Not a valid list."]


def test_a_vertical_that_is_no_text_is_named_by_its_place() -> None:
    errors = errors_of(tracking_body(verticals=["solar", 1]), TRACKING_FORM)
    assert errors == {"verticals.1": NO_TEXT}


@pytest.mark.parametrize("value", [[], "text", 1])
def test_extra_data_that_is_no_object_is_refused(value: Any) -> None:
    assert fault("extraData", value, TRACKING_FORM) == ["This value should be an object"]


def test_names_of_the_other_route_are_unknown_here() -> None:
    content, warnings = read_lead(tracking_body(dateOfBirth="never", additionalData=[1]), TRACKING_FORM)
    assert content["additionalData"] == {"source": "tests", "dateOfBirth": "never", "additionalData": [1]}
    assert content["dateOfBirth"] == "1984-02-29"
    assert warnings == [
        "Unknown field `additionalData` is kept under extraData",
        "Unknown field `dateOfBirth` is kept under extraData",
    ]

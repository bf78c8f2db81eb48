"""What a lead must look like: every rule of every field of `POST /api/leads` (contract, section 4)."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from shared.errors import ApiError
from shared.lead_forms import MAX_BLAMED, read_lead
from tests.factories import lead_body
from tests.unit.shared.refusals import (
    BOOLEAN,
    COUNTRY,
    DATE,
    EMAIL,
    FUTURE,
    NO_TEXT,
    NULL,
    OPTIONAL,
    PHONE,
    REQUIRED,
    accepted,
    errors_of,
    fault,
)


def test_a_lead_with_every_field_is_kept_as_it_was_sent() -> None:
    body = lead_body(**OPTIONAL)
    assert read_lead(body) == (body, [])


def test_a_lead_needs_no_more_than_the_required_fields() -> None:
    body = lead_body(additionalData=None)
    assert read_lead(body) == (body, [])


def test_what_is_required_is_named_all_at_once() -> None:
    assert errors_of({}) == {
        "firstName": REQUIRED,
        "lastName": REQUIRED,
        "email": REQUIRED,
        "phone": REQUIRED,
        "dateOfBirth": REQUIRED,
    }


@pytest.mark.parametrize("field", ["firstName", "lastName", "email", "phone", "dateOfBirth"])
def test_a_required_field_must_not_be_null(field: str) -> None:
    assert fault(field, None) == NULL


@pytest.mark.parametrize("field", sorted(OPTIONAL))
def test_an_optional_field_that_is_null_counts_as_absent(field: str) -> None:
    body = lead_body(additionalData=None)
    assert read_lead(body | {field: None}) == (body, [])


@pytest.mark.parametrize("value", [1, 1.5, True, ["a"], {"a": 1}])
@pytest.mark.parametrize(
    "field",
    [
        "firstName",
        "lastName",
        "email",
        "phone",
        "dateOfBirth",
        "city",
        "zipCode",
        "provinceCode",
        "countryCode",
        "clientReference",
    ],
)
def test_text_must_be_text(field: str, value: Any) -> None:
    assert fault(field, value) == NO_TEXT


@pytest.mark.parametrize("field", ["firstName", "lastName"])
def test_a_name_has_2_to_255_characters(field: str) -> None:
    assert accepted(field, "Ng")
    assert accepted(field, "😀" * 255)
    assert fault(field, "N") == ["Length must be between 2 and 255."]
    assert fault(field, "") == ["Length must be between 2 and 255."]
    assert fault(field, "n" * 256) == ["Length must be between 2 and 255."]


@pytest.mark.parametrize(
    "email",
    [
        "a@b.co",
        "first.last+tag@sub.example.com",
        "zoë@example.com",
        "a@exämple.com",
        "o'hara@example.ie",
        "x" * 243 + "@example.com",
    ],
)
def test_an_email_that_is_valid_is_taken(email: str) -> None:
    assert accepted("email", email)


@pytest.mark.parametrize(
    "email",
    [
        "",
        "plain",
        "@example.com",
        "a@",
        "a@b",
        "a@@example.com",
        "a@example..com",
        "a@.example.com",
        "a@example.com.",
        "a@-example.com",
        ".a@example.com",
        "a..b@example.com",
        "a b@example.com",
        " a@example.com",
        "a@example.com ",
        "a@example.com\n",
        "a\n@example.com",
        "a@exam\nple.com",
        "Zoë <a@example.com>",
        "a@example.com,b@example.com",
        "a@example.com\r\nBcc: b@example.com",
    ],
)
def test_an_email_that_is_not_valid_is_refused(email: str) -> None:
    assert fault("email", email) == EMAIL


def test_an_email_has_at_most_255_characters() -> None:
    assert fault("email", "x" * 244 + "@example.com") == ["Longer than maximum length 255."]


@pytest.mark.parametrize("phone", ["12", "+12", "+4915112345678", "123456789012345", "+123456789012345"])
def test_a_phone_number_is_taken(phone: str) -> None:
    assert accepted("phone", phone)


@pytest.mark.parametrize(
    "phone",
    [
        "",
        "+",
        "1",
        "+1",
        "0123456",
        "+0123456",
        "++123",
        "1234567890123456",
        "+49 151 1234",
        "+49-151-1234",
        "(0)123",
        "+4915112345678\n",
        "\n+4915112345678",
        " +4915112345678",
        "+4915112345678 ",
        "+٤٩١٥١١٢٣٤",
        "1٢٣",
        "＋４９１５１",
        "1２３",
        "12a",
        "1e5",
    ],
)
def test_what_is_no_phone_number_is_refused(phone: str) -> None:
    assert fault("phone", phone) == PHONE


@pytest.mark.parametrize("date", ["2024-02-29", "2000-02-29", "1900-01-01", "0001-01-01", "2026-05-31"])
def test_a_date_that_exists_is_taken(date: str) -> None:
    assert accepted("dateOfBirth", date)


@pytest.mark.parametrize(
    "date",
    [
        "",
        "2023-02-29",
        "1900-02-29",
        "2023-13-01",
        "2023-00-10",
        "2023-04-31",
        "0000-01-01",
        "20230228",
        "2023-W01-1",
        "2023W011",
        "2023-059",
        "2023-2-28",
        "23-02-28",
        "28.02.2023",
        "02/28/2023",
        "2023-02-28T00:00:00",
        "2023-02-28Z",
        "2023-02-28\n",
        " 2023-02-28",
        "-2023-02-28",
        "+2023-02-28",
        "２０２３-02-28",
        "٢٠٢٣-٠٢-٢٨",
        "2023-02-2８",
    ],
)
def test_what_is_no_date_is_refused(date: str) -> None:
    assert fault("dateOfBirth", date) == DATE


def test_nobody_was_born_tomorrow() -> None:
    just_before_midnight = datetime(2026, 6, 1, 23, 59, 59, tzinfo=UTC)
    assert accepted("dateOfBirth", "2026-06-01", now=just_before_midnight)
    assert fault("dateOfBirth", "2026-06-02", now=just_before_midnight) == FUTURE
    assert fault("dateOfBirth", "9999-12-31") == FUTURE
    assert accepted("dateOfBirth", "2026-06-02", now=datetime(2026, 6, 2, tzinfo=UTC))


@pytest.mark.parametrize(("field", "length"), [("city", 255), ("zipCode", 20), ("clientReference", 100)])
def test_optional_text_may_be_empty_and_has_a_longest_length(field: str, length: int) -> None:
    assert accepted(field, "")
    assert accepted(field, "ä" * length)
    assert fault(field, "ä" * (length + 1)) == [f"Longer than maximum length {length}."]


def test_a_province_code_has_2_characters() -> None:
    assert accepted("provinceCode", "ZH")
    for value in ("", "Z", "ZHG"):
        assert fault("provinceCode", value) == ["Length must be 2."]


def test_a_country_code_is_assigned_and_in_capitals() -> None:
    for value in ("CH", "GB", "AX", "TW"):
        assert accepted("countryCode", value)
    for value in ("", "ch", "UK", "EU", "XX", "ZZ", "CHE", "C", "CH\n"):
        assert fault("countryCode", value) == COUNTRY


@pytest.mark.parametrize("value", [[], ["a"], ["a", "a", ""]])
def test_verticals_are_a_list_of_texts(value: list[str]) -> None:
    assert accepted("verticals", value)


@pytest.mark.parametrize("value", ["solar", {"0": "solar"}, 1, True])
def test_verticals_that_are_no_list_are_refused(value: Any) -> None:
    assert fault("verticals", value) == ["Not a valid list."]


def test_a_vertical_that_is_no_text_is_named_by_its_place() -> None:
    errors = errors_of(lead_body(verticals=["solar", 1, None, ["wind"]]))
    assert errors == {"verticals.1": NO_TEXT, "verticals.2": NULL, "verticals.3": NO_TEXT}


def test_of_very_many_bad_verticals_the_first_are_named() -> None:
    errors = errors_of(lead_body(verticals=["solar", *[1] * 500_000]))
    assert errors == {f"verticals.{place}": NO_TEXT for place in range(1, MAX_BLAMED + 1)}
    assert accepted("verticals", ["solar"] * 1000)


@pytest.mark.parametrize("value", [True, False])
def test_test_is_true_or_false(value: bool) -> None:
    assert accepted("test", value)


@pytest.mark.parametrize("value", ["true", "false", "", "on", 0, 1, 1.0, [], {}])
def test_what_only_looks_like_a_boolean_is_refused(value: Any) -> None:
    assert fault("test", value) == BOOLEAN


def test_every_field_at_fault_is_named_at_once() -> None:
    errors = errors_of(
        lead_body(firstName="x", email="x", phone="x", dateOfBirth="x", test="x", countryCode="x")
    )
    assert set(errors) == {"firstName", "email", "phone", "dateOfBirth", "test", "countryCode"}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = sorted({*lead_body(), *OPTIONAL, "unknown"})


@given(st.dictionaries(st.sampled_from(NAMES), JSON), st.booleans())
def test_no_body_makes_the_service_fail(changes: dict[str, Any], strict: bool) -> None:
    try:
        content, _ = read_lead(lead_body() | changes, strict=strict)
    except (ValidationError, ApiError):
        return
    assert read_lead(content) == (content, [])


@given(st.text() | st.emails() | st.from_regex(r"[^@]*@[^@]*"))
def test_no_email_makes_the_service_fail(email: str) -> None:
    with contextlib.suppress(ValidationError):
        read_lead(lead_body() | {"email": email})

"""What is kept beside the known fields of a lead: `additionalData` and unknown fields."""

from __future__ import annotations

from typing import Any

import pytest

from shared.lead_forms import ADDITIONAL_BYTES, LEAD_FORM, TRACKING_FORM, Form, read_lead
from tests.factories import lead_body
from tests.unit.shared.refusals import (
    OPTIONAL,
    accepted,
    errors_of,
    fault,
    good_body,
)

FORMS = [(LEAD_FORM, "additionalData"), (TRACKING_FORM, "extraData")]


@pytest.mark.parametrize("value", [{}, {"a": [1, {"b": None}], "": "x", "ä": 1.5}])
def test_additional_data_is_any_object(value: dict[str, Any]) -> None:
    assert accepted("additionalData", value)


@pytest.mark.parametrize("value", [[], [{"a": 1}], "text", 1, True])
def test_additional_data_that_is_no_object_is_refused(value: Any) -> None:
    assert fault("additionalData", value) == ["This value should be an object"]


def test_additional_data_has_at_most_8_levels() -> None:
    assert accepted("additionalData", nested(8))
    assert fault("additionalData", nested(9)) == ["This value is nested more than 8 levels deep"]
    assert fault("additionalData", {"flat": 1, "deep": [nested(8)]})


def nested(levels: int) -> dict[str, Any]:
    """Objects and lists in turn, so many levels of them."""
    value: Any = {"end": 1}
    for level in range(levels - 1, 0, -1):
        value = {"in": value} if level % 2 else [value]
    return value if isinstance(value, dict) else {}


def test_additional_data_has_at_most_16_kib_as_utf8() -> None:
    around = len('{"a":""}')
    assert accepted("additionalData", {"a": "x" * (ADDITIONAL_BYTES - around)})
    too_long = ["This value is longer than 16384 bytes"]
    assert fault("additionalData", {"a": "x" * (ADDITIONAL_BYTES - around + 1)}) == too_long
    assert fault("additionalData", {"a": "ä" * (ADDITIONAL_BYTES // 2)}) == too_long


def test_an_unknown_field_is_kept_under_additional_data_with_a_warning() -> None:
    body = lead_body(additionalData={"source": "web"})
    content, warnings = read_lead(body | {"utm": {"campaign": "x"}, "age": 30})
    assert content == body | {"additionalData": {"source": "web", "utm": {"campaign": "x"}, "age": 30}}
    assert warnings == [
        "Unknown field `age` is kept under additionalData",
        "Unknown field `utm` is kept under additionalData",
    ]


@pytest.mark.parametrize("additional", [{}, {"additionalData": None}])
def test_an_unknown_field_is_kept_without_additional_data_too(additional: dict[str, Any]) -> None:
    content, _ = read_lead(lead_body(additionalData=None) | additional | {"age": None})
    assert content["additionalData"] == {"age": None}


def test_the_posted_body_is_left_as_it_is() -> None:
    additional = {"source": "web"}
    body = lead_body(additionalData=additional, age=30)
    read_lead(body)
    assert body["age"] == 30
    assert additional == {"source": "web"}


@pytest.mark.parametrize(("form", "catch_all"), FORMS)
def test_an_unknown_field_that_clashes_is_refused_by_its_own_name(form: Form, catch_all: str) -> None:
    body = good_body(form) | {catch_all: {"age": 1, "b": 2}, "age": 1, "c": 3}
    message = f"This value is not known, and {catch_all} has a field of that name too"
    assert errors_of(body, form) == {"age": [message]}


def test_unknown_fields_are_refused_if_strict() -> None:
    errors = errors_of(lead_body() | {"age": 1, "firstname": "x"}, strict=True)
    assert errors == {"age": ["Unknown field."], "firstname": ["Unknown field."]}


def test_known_fields_alone_are_taken_if_strict() -> None:
    body = lead_body(**OPTIONAL)
    assert read_lead(body, strict=True) == (body, [])


@pytest.mark.parametrize(("form", "catch_all"), FORMS)
def test_unknown_fields_do_not_hide_what_is_wrong_with_the_catch_all(form: Form, catch_all: str) -> None:
    assert errors_of(good_body(form) | {catch_all: [1], "age": 1}, form) == {
        catch_all: ["This value should be an object"]
    }
    assert errors_of(good_body(form) | {catch_all: nested(9), "age": 1}, form) == {
        catch_all: ["This value is nested more than 8 levels deep"]
    }


@pytest.mark.parametrize(("form", "catch_all"), FORMS)
def test_an_unknown_field_that_is_too_much_is_blamed_by_its_own_name(form: Form, catch_all: str) -> None:
    fine = good_body(form) | {"age": 1}
    unknown = f"This value is not known, and with it {catch_all} would be"
    assert errors_of(fine | {"long": "x" * ADDITIONAL_BYTES}, form) == {
        "long": [f"{unknown} longer than 16384 bytes"]
    }
    assert errors_of(fine | {"deep": nested(8)}, form) == {
        "deep": [f"{unknown} nested more than 8 levels deep"]
    }


def test_unknown_fields_that_are_too_much_together_are_all_blamed() -> None:
    parts = dict.fromkeys(("one", "two"), "x" * (ADDITIONAL_BYTES // 2))
    assert errors_of(lead_body() | parts).keys() == parts.keys()
    assert errors_of(lead_body(additionalData={"part": parts["one"]}, two=parts["two"])).keys() == {"two"}


@pytest.mark.parametrize("strict", [True, False])
def test_of_very_many_unknown_fields_the_first_are_named(strict: bool) -> None:
    many = {f"unknown{number:05}": 1 for number in range(10_000)}
    assert list(errors_of(lead_body() | many, strict=strict)) == list(many)[:100]

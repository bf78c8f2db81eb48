"""Schemas that load quickly: whatever is posted, they say what marshmallow alone says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError, fields, validate

from shared.json_fields import EMAIL_MESSAGE, EmailUpToLength
from shared.lead_forms import LEAD_FORM, TRACKING_FORM
from shared.quick_schema import QuickSchema

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
EMAIL_PARTS = st.sampled_from(
    [
        "a",
        "Z9",
        "é",
        ".",
        "..",
        "-",
        "+",
        "_",
        "@",
        '"',
        " ",
        "\n",
        "example",
        "com",
        "c",
        "1",
        "[1.2.3.4]",
        "'",
    ]
)
EMAILS = st.lists(EMAIL_PARTS, max_size=8).map("".join) | st.emails()
LIKELY = {
    "firstName": st.text(max_size=3) | st.just("x" * 256),
    "lastName": st.text(max_size=3),
    "email": EMAILS,
    "phone": st.from_regex(r"\+?[0-9]{1,16}", fullmatch=True) | st.sampled_from(["+39123\n", "٣٤٥", "0"]),
    "dateOfBirth": st.dates().map(str)
    | st.sampled_from(["2001-02-29", "2001-2-1", "2001-02-03\n", "0000-01-01"]),
    "countryCode": st.sampled_from(["IT", "it", "XX", ""]),
    "provinceCode": st.text(max_size=3),
    "zipCode": st.text(max_size=21),
    "verticals": st.lists(st.text(max_size=3) | st.none(), max_size=3),
    "test": st.booleans(),
    "additionalData": st.dictionaries(st.text(max_size=2), JSON, max_size=2),
}
AS_TRACKED = {"dateOfBirth": "dob", "additionalData": "extraData"}


def bodies(names: dict[str, str]) -> st.SearchStrategy[dict[str, Any]]:
    """Leads that are good, or broken in a field or two."""
    good = {
        "firstName": "Anna",
        "lastName": "Rossi",
        "email": "anna@example.com",
        "phone": "+39333",
        "dateOfBirth": "1990-02-01",
        "verticals": ["energy"],
    }
    likely = st.fixed_dictionaries({}, optional=LIKELY)
    broken = st.dictionaries(
        st.sampled_from([*LIKELY, "city", "clientReference", "unknown"]), JSON, max_size=2
    )
    missing = st.sets(st.sampled_from(sorted(good)), max_size=1)
    return st.builds(
        lambda likely, broken, missing: {
            names.get(name, name): value
            for name, value in (good | likely | broken).items()
            if name not in missing
        },
        likely,
        broken,
        missing,
    )


def outcome(load: Any, body: Any) -> Any:
    try:
        return "loaded", list(load(body).items())
    except ValidationError as error:
        return "refused", error.messages


def assert_as_marshmallow(schema: Schema, body: Any) -> None:
    assert outcome(schema.load, body) == outcome(lambda body: Schema.load(schema, body), body)


@given(bodies({}))
@example({})
def test_a_lead_is_loaded_or_refused_as_by_marshmallow(body: dict[str, Any]) -> None:
    assert_as_marshmallow(LEAD_FORM.schema, body)


@given(bodies(AS_TRACKED))
@example({})
def test_a_tracked_lead_is_loaded_or_refused_as_by_marshmallow(body: dict[str, Any]) -> None:
    assert_as_marshmallow(TRACKING_FORM.schema, body)


@given(JSON)
def test_what_is_no_lead_is_refused_as_by_marshmallow(body: Any) -> None:
    assert_as_marshmallow(LEAD_FORM.schema, body)


@given(EMAILS)
@example("a@b.co\n")
@example("a@b.c1")
@example("ı@example.com")
@example("a@example.ſe")
def test_an_email_is_good_if_it_is_to_marshmallow(email: str) -> None:
    assert accepts(EmailUpToLength(error=EMAIL_MESSAGE), email) == accepts(validate.Email(), email)


def accepts(validator: Any, value: str) -> bool:
    try:
        validator(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    "field",
    [fields.String(load_default=""), fields.String(post_load=str.strip), fields.String(attribute="other")],
)
def test_a_quick_schema_takes_no_field_that_makes_something_else_of_its_value(field: Any) -> None:
    with pytest.raises(TypeError, match="field"):
        QuickSchema.from_dict({"field": field})()

"""What was sent is what is read, and in the same order, on every kind of database."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from admin_service import create_app
from shared.keys import KeyRing
from shared.messages import decode_batch
from shared.settings import Settings
from tests.factories import NOON, make_api_key, make_batch, make_lead, make_user, make_writer, message

Get = Callable[..., Any]

FIELDS = (
    "firstName",
    "lastName",
    "email",
    "phone",
    "dateOfBirth",
    "city",
    "zipCode",
    "provinceCode",
    "countryCode",
    "verticals",
    "clientReference",
    "additionalData",
)


@pytest.fixture
def get(engine: Engine, keys: KeyRing, tmp_path: Path) -> Get:
    """Asks the admin service as the user with id 1 whose leads they all are; the data of the answer."""
    app = create_app(Settings(data_dir=tmp_path, rate_limit_per_minute=10**6), engine=engine, keys=keys)
    api_key = make_api_key(engine, make_user(engine, roles=("ROLE_ADMIN",)))
    client: FlaskClient = app.test_client()

    def ask(path: str, **query: Any) -> Any:
        answer = client.get(path, query_string=query, headers={"X-AUTH-Token": api_key})
        assert answer.status_code == 200, answer.text
        return orjson.loads(answer.data)["data"]

    return ask


# Every character that JSON may bring us: no surrogates, no NUL.
characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


def texts(longest: int, shortest: int = 0) -> st.SearchStrategy[str]:
    return st.text(characters, min_size=shortest, max_size=longest)


dates = st.dates() | st.sampled_from(
    [date(1, 1, 1), date(999, 12, 31), date(2000, 2, 29), date(9999, 12, 31)]
)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts(20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts(10), inner, max_size=4),
    max_leaves=12,
)
contents = st.fixed_dictionaries(
    {
        "firstName": texts(255, 2),
        "lastName": texts(255, 2),
        "email": texts(255, 1),
        "phone": st.from_regex(r"\+?[1-9][0-9]{1,14}", fullmatch=True),
        "dateOfBirth": dates.map(date.isoformat),
    },
    optional={
        "city": texts(255),
        "zipCode": texts(20),
        "provinceCode": texts(2, 2),
        "countryCode": st.sampled_from(["DE", "NZ"]),
        "verticals": st.lists(texts(40), max_size=5),
        "clientReference": texts(100),
        "additionalData": st.dictionaries(texts(10), json_values, max_size=5),
        "test": st.booleans(),
    },
)


@given(contents=st.lists(contents, min_size=1, max_size=8))
@settings(
    max_examples=25,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_field_reads_back_as_it_was_sent(
    engine: Engine, get: Get, contents: list[dict[str, Any]]
) -> None:
    leads = [make_lead() for _ in contents]
    for lead, content in zip(leads, contents, strict=True):
        lead.content.clear()
        lead.content.update(content)

    make_writer(engine).write([(decode_batch(message(make_batch(leads))), 0)])

    for lead, content in zip(leads, contents, strict=True):
        found = get(f"/api/leads/{lead.id}")
        assert {name: found[name] for name in FIELDS} == dict.fromkeys(FIELDS) | {
            name: value for name, value in content.items() if name != "test"
        }
        assert found["test"] is content.get("test", False)
        assert orjson.dumps(found["additionalData"]) == orjson.dumps(content.get("additionalData"))


# Sorted by the characters of what NFKC and case folding make of them. Names in one row are the same, so the
# earlier lead comes first.
SORTED_NAMES = [
    [" a blank before", " A BLANK BEFORE"],
    ["anna"],
    ["anna "],
    ["anna  "],
    ["anna b"],
    ["bob", "BOB", "ｂｏｂ"],
    ["bo\u0301b", "BÓB", "bób"],
    ["dž", "ǆ", "ǅ", "Ǆ"],
    ["fi", "ﬁ", "FI"],
    ["i", "I"],
    ["i\u0307x", "İx"],
    ["jose", "Jose", "JOSE"],
    ["josef"],
    ["josé", "José", "JOSÉ", "jose\u0301"],
    ["strasse", "STRASSE", "straße", "STRAẞE"],
    ["straus"],
    ["zoe"],
    ["zoë", "ZOË", "zoe\u0308"],
    ["å", "Å", "a\u030a", "\u212b"],
    ["ı"],
    ["łukasz", "ŁUKASZ"],
    ["σ", "ς", "Σ"],
    ["אבא"],
    ["שלום"],
    ["لا", "ﻼ"],
    ["مرحبا"],
    ["\u200fאבא"],
    ["○", "\uffee"],
    ["东"],
    ["東"],
    ["\ue000"],
    ["😀"],
    ["😁"],
    ["😁 "],
]


@pytest.mark.parametrize("field", ["firstName", "lastName"])
def test_names_sort_the_same_on_every_database(engine: Engine, get: Get, field: str) -> None:
    moments = (NOON + timedelta(microseconds=number) for number in itertools.count())
    received = {name: next(moments) for row in random.sample(SORTED_NAMES, len(SORTED_NAMES)) for name in row}
    leads = []
    for name, moment in received.items():
        leads.append(make_lead(received_at=moment))
        leads[-1].content[field] = name
    make_writer(engine).write([(make_batch(random.sample(leads, len(leads))), 0)])

    for order, expected in (
        ("ASC", [name for row in SORTED_NAMES for name in row]),
        ("DESC", [name for row in reversed(SORTED_NAMES) for name in reversed(row)]),
    ):
        items = get("/api/leads", sortBy=field, sortOrder=order, limit=100)["items"]
        assert [item[field] for item in items] == expected


def test_emails_sort_the_same_on_every_database(engine: Engine, get: Get) -> None:
    emails = [
        "ａ@example.com",
        "A@example.com",
        "b@EXAMPLE.com",
        "josé@x.com",
        "joseph@x.com",
        "😁@x.com",
        "😀@x.com",
    ]
    make_writer(engine).write([(make_batch([make_lead(email=email) for email in emails]), 0)])

    items = get("/api/leads", sortBy="email", sortOrder="ASC")["items"]

    assert [item["email"] for item in items] == [
        "ａ@example.com",
        "A@example.com",
        "b@EXAMPLE.com",
        "joseph@x.com",
        "josé@x.com",
        "😀@x.com",
        "😁@x.com",
    ]


def test_names_that_begin_alike_for_very_long_sort_and_stay_apart(engine: Engine, get: Get) -> None:
    longest = "ﷺ" * 255  # NFKC makes 18 characters of each
    names = [longest, longest[:-1] + "a", longest[:-1] + "b"]
    make_writer(engine).write([(make_batch([make_lead(firstName=name) for name in names]), 0)])

    items = get("/api/leads", sortBy="firstName")["items"]

    assert {item["firstName"] for item in items} == set(names)

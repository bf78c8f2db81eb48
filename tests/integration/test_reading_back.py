"""What was sent is what is read, and in the same order, on every kind of database."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from admin_service import create_app
from ingest_service import create_app as create_ingest
from shared.identity import Identity
from shared.keys import KeyRing
from shared.settings import Settings
from tests.factories import NOON, make_api_key, make_batch, make_lead, make_user, make_writer
from tests.fakes import FakeProducer
from tests.integration.calling import Person, add_partner, new_app, running

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


days = st.dates(max_value=date(2026, 1, 1)) | st.sampled_from([date(1, 1, 1), date(2000, 2, 29)])
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts(20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts(10), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts(10), json_values, max_size=5)
LONGEST = {  # each field as long as it may be, in characters of four bytes where it may have them
    "firstName": "😀" * 255,
    "lastName": "𝔊" * 255,
    "email": f"{'x' * 60}@{'y' * 60}.{'z' * 60}.{'w' * 60}.example",
    "phone": "+999999999999999",
    "dateOfBirth": "0001-01-01",
    "city": "ﷺ" * 255,
    "zipCode": "😁" * 20,
    "provinceCode": "𐍈𐍈",
    "verticals": ["🏳️‍🌈" * 2000] * 3,
    "clientReference": "👩‍👩‍👧‍👦" * 14,
    "additionalData": {"\u202e": "\U0010ffff" * 4000, "deep": [[[[[[[0.1]]]]]]]},
}
known_fields = st.fixed_dictionaries(
    {
        "firstName": texts(255, 2),
        "lastName": texts(255, 2),
        "email": st.emails() | texts(30, 1).map("{}@example.com".format),
        "phone": st.from_regex(r"\+?[1-9][0-9]{1,14}", fullmatch=True),
        "dateOfBirth": days.map(date.isoformat),
    },
    optional={
        "city": texts(255),
        "zipCode": texts(20),
        "provinceCode": texts(2, 2),
        "countryCode": st.sampled_from(["DE", "NZ"]),
        "verticals": st.lists(texts(40), max_size=5),
        "clientReference": texts(100),
        "additionalData": objects,
        "test": st.booleans(),
    },
)
unknown_fields = st.dictionaries(texts(10).map("my {}".format), json_values, max_size=3)
bodies = st.builds(lambda known, unknown: unknown | known, known_fields, unknown_fields)


class Doors:
    """Leads go in by the one door, through the real writer, and come out by the other."""

    def __init__(self, engine: Engine, keys: KeyRing, partner: Person) -> None:
        self._producer = FakeProducer()
        options = Settings(rate_limit_per_minute=10**6, api_log="off")
        identity = Identity(engine)
        self.ingest = create_ingest(options, producer=self._producer, identity=identity, keys=keys)
        self._writer = make_writer(engine)
        self._post = partner.calls(self.ingest)
        self._get = partner.calls(new_app("admin", engine, keys, rate_limit_per_minute=10**6))

    def put_in(self, body: dict[str, Any]) -> str | None:
        """The id of the lead, if it is accepted; the reason is no business of these tests."""
        answer = self._post.post("/api/leads", orjson.dumps(body))
        assert answer.status_code in (201, 400), answer.text
        return answer.json["data"]["id"] if answer.status_code == 201 else None

    def write(self) -> None:
        self._writer.write([(batch, 0) for batch in self._producer.batches()])
        self._producer.bodies.clear()

    def take_out(self, id: str) -> dict[str, Any]:
        data: dict[str, Any] = orjson.loads(self._get.get(f"/api/leads/{id}").data)["data"]
        return data


@pytest.fixture
def doors(engine: Engine, keys: KeyRing) -> Iterator[Doors]:
    doors = Doors(engine, keys, add_partner(engine))
    with running(doors.ingest):
        yield doors


def as_sent(body: dict[str, Any]) -> dict[str, Any]:
    """What should read back: unknown fields stand under additionalData."""
    unknown = {name: value for name, value in body.items() if name not in (*FIELDS, "test")}
    additional = body.get("additionalData", {} if unknown else None)
    return dict.fromkeys(FIELDS) | {
        **{name: body[name] for name in FIELDS if name in body},
        "additionalData": additional | unknown if unknown else additional,
        "test": body.get("test", False),
    }


def as_text(body: dict[str, Any]) -> bytes:
    """For comparisons: in Python 1, 1.0 and true are equal."""
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


@given(sent=st.lists(bodies, min_size=3, max_size=8))
@example(sent=[LONGEST, LONGEST])
@settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_is_accepted_reads_back_as_it_was_sent(doors: Doors, sent: list[dict[str, Any]]) -> None:
    accepted = [(id, body) for body in sent if (id := doors.put_in(body)) is not None]
    doors.write()

    assert accepted or LONGEST not in sent
    for id, body in accepted:
        found = doors.take_out(id)
        assert found["status"] in ("stored", "duplicate")
        assert as_text({name: found[name] for name in as_sent(body)}) == as_text(as_sent(body))


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

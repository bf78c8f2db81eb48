"""What must not be accepted by any route that takes one lead, and what its sender is told."""

from __future__ import annotations

import re
import time
import tracemalloc
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.factories import lead_body, tracking_body
from tests.fakes import FakeProducer

MIB = 1024 * 1024
MEMORY = 64 * MIB
SECONDS = 20.0  # of this processor: what takes time by the square of its length takes hours

# Each route, a good body, and the field that takes any JSON.
ROUTES = {"/api/leads": (lead_body, "additionalData"), "/api/tracking/": (tracking_body, "extraData")}

# What JSON may say that no lead may, in place of a value inside the field that takes any.
VALUES = {
    "NUL in a text": (rb'"a\u0000b"', "NUL"),
    "NUL in a name": (rb'{"a\u0000b":1}', "NUL"),
    "raw NUL": (b'"a\0b"', "Malformed JSON"),
    "first half of a pair": (rb'"\ud83d"', "surrogate"),
    "second half of a pair": (rb'"\ude00"', "surrogate"),
    "halves in the wrong order": (rb'"\ude00\ud83d"', "surrogate"),
    "half of a pair in a name": (rb'{"\ud83d":1}', "surrogate"),
    "half of a pair as bytes": (b'"\xed\xa0\xbd"', "not UTF-8"),
    "Latin-1": (b'"\xe9"', "not UTF-8"),
    "NaN": (b"NaN", "NaN"),
    "infinity": (b"Infinity", "Infinity"),
    "negative infinity": (b"-Infinity", "-Infinity"),
    "more than a double holds": (b"1e999", "1e999"),
    "2 to the 63rd": (b"9223372036854775808", "64 bits"),
    "5,000 digits": (b"9" * 5000, "64 bits"),
    "minus 5,000 digits": (b"-" + b"9" * 5000, "64 bits"),
    "an exponent of 5,000 digits": (b"1e" + b"9" * 5000, "beyond the range"),
    "a key twice": (b'{"a":1,"a":2}', "'a' twice"),
    "a key twice, once escaped": (rb'{"a":1,"\u0061":2}', "'a' twice"),
    "50,000 levels": (b"[" * 50_000 + b"]" * 50_000, "64 levels"),
    "50,000 levels of objects": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "64 levels"),
    "50,000 levels without an end": (b"[" * 50_000, "64 levels"),
    "9 levels": (b"[" * 8 + b"]" * 8, "8 levels"),
    "20 KiB": (b'"' + b"x" * 20_480 + b'"', "16384 bytes"),
}


@pytest.fixture(params=ROUTES)
def route(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def good(route: str, **changes: Any) -> dict[str, Any]:
    return ROUTES[route][0](**changes)


def post(client: FlaskClient, route: str, headers: dict[str, str], body: bytes) -> TestResponse:
    """The answer, which must be had with little memory and time, whatever the body."""
    tracemalloc.start()
    began = time.process_time()
    try:
        response = client.post(route, data=body, content_type="application/json", headers=headers)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY
    assert time.process_time() - began < SECONDS
    assert len(response.data) < 64 * 1024
    return response


@pytest.mark.parametrize(("value", "told"), VALUES.values(), ids=VALUES)
def test_a_value_that_no_lead_may_have_is_refused(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer, route: str, value: bytes, told: str
) -> None:
    catch_all = ROUTES[route][1]
    body = orjson.dumps(good(route) | {catch_all: {"here": "?"}}).replace(b'"?"', value)
    response = post(ingest, route, headers, body)
    assert response.status_code == 400
    answer = response.get_json()
    assert told in answer["message"] + str(answer.get("errors", {}).get(catch_all))
    assert producer.bodies == []


@pytest.mark.parametrize("field", ["email", "firstName", "city"])
@pytest.mark.parametrize(
    "escape", [r"\u0000", r"\ud800", r"\udc00"], ids=["NUL", "first half of a pair", "second half of a pair"]
)
def test_a_field_with_a_character_that_is_none_is_refused(
    ingest: FlaskClient,
    headers: dict[str, str],
    producer: FakeProducer,
    route: str,
    field: str,
    escape: str,
) -> None:
    body = orjson.dumps(good(route) | {field: "a?b@example.com"}).replace(b"?", escape.encode())
    response = post(ingest, route, headers, body)
    assert response.status_code == 400
    assert re.search("NUL|surrogate", response.get_json()["message"])
    assert producer.bodies == []


def test_a_field_that_stands_there_twice_is_refused(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer, route: str
) -> None:
    body = orjson.dumps(good(route))[:-1] + b',"email":"other@example.com"}'
    response = post(ingest, route, headers, body)
    assert response.status_code == 400
    assert "'email' twice" in response.get_json()["message"]
    assert producer.bodies == []


@pytest.mark.parametrize("field", ["email", "city"])
def test_a_text_of_a_mebibyte_is_refused_by_its_field(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer, route: str, field: str
) -> None:
    for text in ("x" * (MIB - 2048), "@" * (MIB - 2048), "x@" + "a." * (MIB // 2 - 2048)):
        response = post(ingest, route, headers, orjson.dumps(good(route, **{field: text})))
        assert response.status_code == 400
        assert list(response.get_json()["errors"]) == [field]
    assert producer.bodies == []


@pytest.mark.parametrize("query", ["", "?strict=true"])
def test_very_many_unknown_fields_are_refused_and_some_are_named(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer, route: str, query: str
) -> None:
    many = {f"u{number}": 1 for number in range(30_000)}
    response = post(ingest, route + query, headers, orjson.dumps(good(route) | many))
    assert response.status_code == 400
    named = response.get_json()["errors"]
    assert 0 < len(named) <= 100
    assert named.keys() <= many.keys()
    assert producer.bodies == []


FULL = {
    "brackets": b'{"a":' + b"[" * MIB,
    "quotes": b'{"a":' + b'"' * MIB,
    "backslashes": b'{"a":"' + b"\\" * MIB,
    "escapes of NUL": b'{"a":"' + rb"\u0000" * (MIB // 6),
    "digits": b'{"a":' + b"1" * MIB,
    "fields": b"{" + b",".join(b'"%x":1' % number for number in range(MIB // 9)),
    "the same field": b"{" + b'"a":1,' * (MIB // 6),
    "lists": b'{"a":[' + b"[]," * (MIB // 12),
}


@pytest.mark.parametrize("body", FULL.values(), ids=FULL)
def test_a_lot_of_nonsense_is_refused_with_little_memory_and_time(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer, route: str, body: bytes
) -> None:
    assert post(ingest, route, headers, body[:MIB]).status_code == 400
    assert producer.bodies == []


@pytest.mark.parametrize("size", [MIB + 1, 4 * MIB])
def test_a_longer_body_is_refused_without_being_read(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer, route: str, size: int
) -> None:
    body = orjson.dumps(good(route))
    assert post(ingest, route, headers, body + b" " * (size - len(body))).status_code == 413
    assert producer.bodies == []


DATES = ["1984-02-29\n", "１９８４-02-29", "1984-02-29\u00a0", "9" * 5000]
PHONES = ["+441632\n", "\n+441632", "+４４1632", "+٤٤1632", "441632\u00a0", "+44\u200b1632", "4" * 5000]


@pytest.mark.parametrize("phone", PHONES, ids=range(len(PHONES)))
def test_a_phone_number_that_is_not_ascii_digits_alone_is_refused(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer, phone: str
) -> None:
    response = post(ingest, "/api/leads", headers, orjson.dumps(lead_body(phone=phone)))
    assert response.status_code == 400
    assert list(response.get_json()["errors"]) == ["phone"]
    assert producer.bodies == []


@pytest.mark.parametrize("field", ["dateOfBirth", "dob"])
@pytest.mark.parametrize("date", DATES, ids=range(len(DATES)))
def test_a_date_that_is_not_ascii_digits_alone_is_refused(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer, field: str, date: str
) -> None:
    route = "/api/leads" if field == "dateOfBirth" else "/api/tracking/"
    response = post(ingest, route, headers, orjson.dumps(good(route, **{field: date})))
    assert response.status_code == 400
    assert list(response.get_json()["errors"]) == [field]
    assert producer.bodies == []

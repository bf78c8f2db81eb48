"""`Idempotency-Key`: the same key of the same partner gives the same id, and no two others do."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from ingest_service.idempotency import hash_of_key, lead_id_of
from shared.api_document import REQUEST_HEADERS
from tests.factories import lead_body, tracking_body
from tests.fakes import FakeProducer
from tests.unit.conftest import signed_in_as

Headers = dict[str, str]

SAME = [("order-7", '"order-7"'), ("a b", '"a b"'), ('say "x"', r'"say \"x\""'), (r"a\b", r'"a\\b"')]
GOOD = ["x", "k" * 255, f'"{"k" * 255}"', "a,b;c=d", 'ab"c']
BAD = ["", " ", '""', '"', '"open', '"a"b', "k" * 256, f'"{"k" * 256}"', "clé", '"a\\b"']


def id_of(client: FlaskClient, headers: Headers, key: str | None = None, **changes: Any) -> str:
    sent = headers | ({} if key is None else {"Idempotency-Key": key})
    response = client.post("/api/leads", json=lead_body(**changes), headers=sent)
    assert response.status_code == 201, response.data
    return str(response.get_json()["data"]["id"])


def test_the_same_key_gives_the_same_id_whatever_is_sent_with_it(
    ingest: FlaskClient, headers: Headers, producer: FakeProducer
) -> None:
    first, again, other = (id_of(ingest, headers, key) for key in ("a", "a", "b"))
    assert first == again != other
    hashes = [batch.leads[0].key_hash for batch in producer.batches()]
    assert hashes == [hash_of_key("a"), hash_of_key("a"), hash_of_key("b")]


def test_an_id_that_follows_from_a_key_is_no_id_of_another_kind(
    ingest: FlaskClient, headers: Headers
) -> None:
    assert UUID(id_of(ingest, headers, "a")).version == 5
    assert UUID(id_of(ingest, headers)).version == 7


def test_partners_may_use_the_same_key_for_different_leads(
    ingest: FlaskClient, ingest_app: Flask, headers: Headers, other_partner: int
) -> None:
    assert id_of(ingest, headers, "a") != id_of(ingest, signed_in_as(ingest_app, other_partner), "a")


@pytest.mark.parametrize(("bare", "quoted"), SAME)
def test_a_key_in_quotes_is_the_same_as_without(
    ingest: FlaskClient, headers: Headers, bare: str, quoted: str
) -> None:
    assert id_of(ingest, headers, bare) == id_of(ingest, headers, quoted)


@pytest.mark.parametrize("key", GOOD)
def test_a_key_has_up_to_255_characters(ingest: FlaskClient, headers: Headers, key: str) -> None:
    assert id_of(ingest, headers, key) == id_of(ingest, headers, key)


@pytest.mark.parametrize("key", BAD)
def test_what_is_no_key_is_refused_by_the_name_of_the_header(
    ingest: FlaskClient, headers: Headers, producer: FakeProducer, key: str
) -> None:
    sent = headers | {"Idempotency-Key": key}
    response = ingest.post("/api/leads", json=lead_body(), headers=sent)
    assert response.status_code == 400
    assert list(response.get_json()["errors"]) == ["Idempotency-Key"]
    of_seed = ingest.post("/api/tracking/", json=tracking_body(), headers=sent)
    assert of_seed.status_code == 400
    assert of_seed.get_json()["message"].startswith("This value `Idempotency-Key` should be")
    assert producer.bodies == []


def test_the_document_says_what_a_key_is() -> None:
    pattern = re.compile(REQUEST_HEADERS["Idempotency-Key"]["schema"]["pattern"])
    assert [key for key in GOOD if not pattern.search(key)] == []
    assert [key for key in BAD if pattern.search(key)] == []


def test_the_lead_of_the_first_seed_has_the_key_of_its_header(
    ingest: FlaskClient, headers: Headers, producer: FakeProducer
) -> None:
    sent = headers | {"Idempotency-Key": "a"}
    ids = [
        ingest.post("/api/tracking/", json=tracking_body(), headers=sent).get_json()["id"] for _ in range(2)
    ]
    assert ids[0] == ids[1] == id_of(ingest, headers, "a")


def test_a_key_of_the_leads_own_wins_and_is_none_of_its_content(
    ingest: FlaskClient, headers: Headers, producer: FakeProducer
) -> None:
    assert id_of(ingest, headers, "header", idempotencyKey="own") == id_of(ingest, headers, "own")
    assert "idempotencyKey" not in producer.batches()[0].leads[0].content


@pytest.mark.parametrize(
    ("key", "fault"),
    [(1, "Not a valid string."), ("", "Length must be"), ("k" * 256, "Length must be"), (["a"], "Not a")],
)
def test_a_key_of_the_leads_own_that_is_none_is_refused_by_its_name(
    ingest: FlaskClient, headers: Headers, key: object, fault: str
) -> None:
    response = ingest.post("/api/leads", json=lead_body(idempotencyKey=key), headers=headers)
    assert response.status_code == 400
    (messages,) = response.get_json()["errors"].items()
    assert messages[0] == "idempotencyKey"
    assert messages[1][0].startswith(fault)


keys = st.tuples(
    st.integers(1, 2**31), st.text(st.characters(codec="utf-8")), st.none() | st.integers(0, 999)
)


@given(keys, keys)
def test_ids_are_the_same_only_for_the_same_partner_key_and_place(one: Any, other: Any) -> None:
    def id_at(client_id: int, key: str, index: int | None) -> UUID:
        return lead_id_of(client_id, hash_of_key(key, index))

    assert (id_at(*one) == id_at(*other)) == (one == other)

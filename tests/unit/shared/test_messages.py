"""What goes over the queue comes out the same, and what is no message is told from what is a newer one."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any
from uuid import uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.messages import (
    SCHEMA_VERSION,
    Batch,
    Header,
    NewerSchema,
    Undecodable,
    decode_batch,
    encode_batch,
    encode_lead,
)
from tests.factories import make_batch, make_lead, message

COUNT = st.integers(0, 2**63 - 1)


def changed(**changes: Any) -> bytes:
    """A message with one lead in which some of the fields are others; a field that is `...` is missing."""
    body = orjson.loads(message(make_batch([make_lead()], sequence=7))) | changes
    return orjson.dumps({name: value for name, value in body.items() if value is not ...})


def changed_lead(**changes: Any) -> bytes:
    """A message whose one lead is changed in the same way."""
    lead = orjson.loads(encode_lead(make_lead())) | changes
    return changed(leads=[{name: value for name, value in lead.items() if value is not ...}])


def test_a_batch_comes_out_as_it_went_in() -> None:
    leads = [
        make_lead(),
        dataclasses.replace(
            make_lead(), key_hash=bytes(range(32)), replay_of=uuid4(), traceparent="00-1-2-03"
        ),
        make_lead(additionalData={"deep": [{"number": -(2**63), "real": 1.5, "text": "😀\n", "none": None}]}),
    ]
    batch = make_batch(leads, sequence=3, settled_through=2, settled_leads=17, voids=(1, 2))
    assert decode_batch(message(batch)) == batch


@given(st.uuids(), COUNT, COUNT, COUNT, st.lists(COUNT, max_size=5).map(tuple))
def test_any_header_comes_out_as_it_went_in(
    producer: Any, sequence: int, through: int, leads: int, voids: Any
) -> None:
    header = Header(producer, sequence, through, leads, voids)
    assert decode_batch(encode_batch(header, [])) == Batch(header, [])


def test_a_message_without_leads_is_a_checkpoint() -> None:
    header = Header(uuid4(), 0, 9, 12)
    assert decode_batch(encode_batch(header, [])) == Batch(header, [])


def test_fields_that_a_newer_producer_of_this_schema_adds_are_ignored() -> None:
    assert len(decode_batch(changed(later="field")).leads) == 1
    assert len(decode_batch(changed_lead(later="field")).leads) == 1


def test_a_newer_schema_is_told_from_a_broken_message() -> None:
    with pytest.raises(NewerSchema, match=f"schema version {SCHEMA_VERSION + 1}"):
        decode_batch(changed(schema=SCHEMA_VERSION + 1))


def test_a_newer_schema_may_look_like_anything() -> None:
    with pytest.raises(NewerSchema):
        decode_batch(b'{"schema":99}')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'"text"',
        b'{"schema":null}',
        b'{"schema":"1"}',
        b'{"schema":1.5}',
        b"[" * 5000,
    ],
)
def test_what_is_none_of_ours_is_undecodable(body: bytes) -> None:
    with pytest.raises(Undecodable):
        decode_batch(body)


@pytest.mark.parametrize(
    "name", ["producerId", "sequence", "settledThrough", "settledLeads", "voids", "leads"]
)
def test_a_message_that_lacks_a_field_is_undecodable_and_says_which(name: str) -> None:
    with pytest.raises(Undecodable, match=f"broken message: KeyError: '{name}'"):
        decode_batch(changed(**{name: ...}))


@pytest.mark.parametrize(
    "changes",
    [
        {"producerId": "none"},
        {"producerId": 5},
        {"sequence": "1"},
        {"sequence": -1},
        {"sequence": 1.0},
        {"sequence": True},
        {"sequence": 2**63},
        {"sequence": 0},
        {"settledThrough": None},
        {"settledLeads": []},
        {"voids": 1},
        {"voids": ["1"]},
        {"voids": None},
        {"leads": None},
        {"leads": ["lead"]},
        {"leads": [None]},
    ],
    ids=str,
)
def test_a_broken_message_is_undecodable(changes: dict[str, Any]) -> None:
    with pytest.raises(Undecodable, match=r"^broken message: "):
        decode_batch(changed(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ...},
        {"id": 1},
        {"id": "none"},
        {"clientId": "1"},
        {"clientId": -1},
        {"receivedAt": "2026-06-01"},
        {"receivedAt": "0001-01-01T00:00:00+23:00"},
        {"receivedAt": 5},
        {"requestId": ...},
        {"content": None},
        {"content": []},
        {"keyHash": "xyz"},
        {"keyHash": 5},
        {"replayOf": "none"},
    ],
    ids=str,
)
def test_a_message_with_a_broken_lead_is_undecodable(changes: dict[str, Any]) -> None:
    with pytest.raises(Undecodable, match=r"^broken message: "):
        decode_batch(changed_lead(**changes))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["producerId", "sequence", "voids", "leads", "settledLeads"]), JSON))
def test_no_message_makes_the_consumer_crash(changes: dict[str, Any]) -> None:
    with contextlib.suppress(Undecodable):
        decode_batch(changed(**changes))


@given(
    st.dictionaries(st.sampled_from(["id", "clientId", "receivedAt", "content", "keyHash", "replayOf"]), JSON)
)
def test_no_lead_makes_the_consumer_crash(changes: dict[str, Any]) -> None:
    with contextlib.suppress(Undecodable):
        decode_batch(changed_lead(**changes))

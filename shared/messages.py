"""What goes over the queue: one message is one batch of leads of one producer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from shared.times import format_time, parse_time

SCHEMA_VERSION = 1


class Undecodable(ValueError):
    """Quarantine it: the message is none of ours, or broken; says how."""


class NewerSchema(Exception):
    """Put it back and stop: the message was written by a newer version than this consumer."""


@dataclass(slots=True)  # frozen, it would take five times as long to make one
class Lead:
    """One accepted lead on its way: who sent it, when it was accepted, and what it says.

    `content` has the field names of `POST /api/leads`, validated. `key_hash` (32 bytes) is there when the
    request named an idempotency key, `replay_of` when the lead comes out of quarantine.
    """

    id: UUID
    client_id: int
    received_at: datetime
    request_id: str
    content: dict[str, Any]
    traceparent: str | None = None
    key_hash: bytes | None = None
    replay_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """What a message says of its producer.

    `sequence` counts 1, 2, 3 … and is 0 in a checkpoint, which has no leads. `settled_through`: every
    number up to it was confirmed, spooled or given up, with `settled_leads` leads in those not given up.
    `voids`: numbers that were given up.
    """

    producer_id: UUID
    sequence: int
    settled_through: int
    settled_leads: int
    voids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """A decoded message."""

    header: Header
    leads: list[Lead]


def encode_lead(lead: Lead) -> bytes:
    """One lead as it stands in a message; `encode_batch` takes these."""
    body: dict[str, Any] = {
        "id": lead.id,
        "clientId": lead.client_id,
        "receivedAt": format_time(lead.received_at),
        "requestId": lead.request_id,
        "content": lead.content,
    }
    if lead.traceparent is not None:
        body["traceparent"] = lead.traceparent
    if lead.key_hash is not None:
        body["keyHash"] = lead.key_hash.hex()
    if lead.replay_of is not None:
        body["replayOf"] = lead.replay_of
    return orjson.dumps(body)


def encode_batch(header: Header, encoded_leads: Sequence[bytes]) -> bytes:
    """The message for leads that `encode_lead` has encoded; without leads it is a checkpoint."""
    return orjson.dumps(
        {
            "schema": SCHEMA_VERSION,
            "producerId": header.producer_id,
            "sequence": header.sequence,
            "settledThrough": header.settled_through,
            "settledLeads": header.settled_leads,
            "voids": header.voids,
            "leads": [orjson.Fragment(lead) for lead in encoded_leads],
        }
    )


def decode_batch(body: bytes) -> Batch:
    """The batch in a message.

    Raises Undecodable, and NewerSchema for a schema version above ours.
    """
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Undecodable(f"not JSON: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("schema"), int):
        raise Undecodable("no message of Leadgate: it has no schema version")
    if message["schema"] > SCHEMA_VERSION:
        raise NewerSchema(f"schema version {message['schema']}, this consumer knows {SCHEMA_VERSION}")
    try:
        header = Header(
            producer_id=UUID(message["producerId"]),
            sequence=_count(message["sequence"]),
            settled_through=_count(message["settledThrough"]),
            settled_leads=_count(message["settledLeads"]),
            voids=tuple(map(_count, message["voids"])),
        )
        leads = [_decode_lead(lead) for lead in message["leads"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Undecodable(f"broken message: {type(error).__name__}: {error}") from None
    if leads and not header.sequence:
        raise Undecodable("broken message: leads without a sequence number")
    return Batch(header, leads)


def decode_lead(body: bytes) -> Lead:
    """The lead that `encode_lead` has encoded. Raises Undecodable."""
    try:
        # The standard library's reader takes half a surrogate pair, which a parked lead may have.
        return _decode_lead(json.loads(body))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Undecodable(f"no lead: {type(error).__name__}: {error}") from None


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} is no count")
    return value


def _decode_lead(body: dict[str, Any]) -> Lead:
    content = body["content"]
    if not isinstance(content, dict):
        raise ValueError("a lead's content is no object")
    key_hash, replay_of = body.get("keyHash"), body.get("replayOf")
    return Lead(
        id=UUID(body["id"]),
        client_id=_count(body["clientId"]),
        received_at=parse_time(body["receivedAt"]),
        request_id=str(body["requestId"]),
        content=content,
        traceparent=body.get("traceparent"),
        key_hash=None if key_hash is None else bytes.fromhex(key_hash),
        replay_of=None if replay_of is None else UUID(replay_of),
    )

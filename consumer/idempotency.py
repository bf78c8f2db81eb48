"""What is sent again under its idempotency key is stored once, and nothing else is stored under that key.

`idempotency_keys` says of each key which accepted lead holds it: the first that was written, stored or
quarantined.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Connection, select

from consumer.claims import claim
from consumer.lead_rows import CONTENT_COLUMNS, Place
from consumer.quarantine import IDEMPOTENCY_CONFLICT
from shared.models import idempotency_keys, leads

Key = tuple[int, bytes]  # a partner, and the hash of an idempotency key


class _Holder(NamedTuple):
    place_id: UUID
    content_hash: bytes


class _Claim(NamedTuple):
    key: Key
    place_id: UUID
    content_hash: bytes
    place: Place


def settle_keys(connection: Connection, places: Iterable[Place]) -> None:
    """Claims the keys of `places` in their order, and says of those whose key another lead holds what they
    are: a repeat of that lead, or at fault because they say something else.

    A replay out of quarantine claims nothing: the key is settled already.
    """
    claims = [
        _Claim((lead.client_id, lead.key_hash), place.id, _content_hash(lead.content), place)
        for place in places
        if (lead := place.lead).key_hash is not None and lead.replay_of is None
    ]
    if not claims:
        return
    holders = _holders(connection, claims)
    conflicts = []
    for key, place_id, content_hash, place in claims:
        holder = holders[key]
        if holder.place_id == place_id:
            continue
        if holder.content_hash == content_hash:
            place.is_repeat, place.fault = True, None
        else:
            conflicts.append((place, holder.place_id))
    if conflicts:
        _blame(connection, conflicts, {claimed.place_id: claimed.place.row for claimed in claims})


def _holders(connection: Connection, claims: Iterable[_Claim]) -> dict[Key, _Holder]:
    """Who holds each key now: the first that claims it, unless somebody else has it."""
    holders: dict[Key, _Holder] = {}
    rows: dict[Key, dict[str, Any]] = {}
    for key, place_id, content_hash, place in claims:
        if key in holders:
            continue
        holders[key] = _Holder(place_id, content_hash)
        rows[key] = {
            "client_id": key[0],
            "key_hash": key[1],
            "lead_id": place.lead.id,
            "content_hash": content_hash,
            "received_at": place.lead.received_at,
            "place_id": place_id,
        }
    for other in claim(connection, idempotency_keys, [rows[key] for key in sorted(rows)], holder="place_id"):
        holders[other.client_id, bytes(other.key_hash)] = _Holder(other.place_id, bytes(other.content_hash))
    return holders


def _blame(
    connection: Connection, conflicts: Sequence[tuple[Place, UUID]], rows: Mapping[UUID, Mapping[str, Any]]
) -> None:
    """Makes faults of conflicts, each given with the place that holds its key; `rows` are those of places."""
    stored: dict[UUID, Any] = {}
    elsewhere = {place.lead.id for place, holder in conflicts if holder not in rows}
    if elsewhere:
        query = select(leads).where(leads.c.id.in_(elsewhere))
        stored = {row.id: row._mapping for row in connection.execute(query)}
    for place, holder in conflicts:
        first = rows.get(holder) or stored.get(place.lead.id)
        fields = _different(place.row, first) if place.row and first else []
        place.reason = IDEMPOTENCY_CONFLICT
        place.fault = "the first lead under this idempotency key says something else"
        if fields:
            place.fault += f" in {', '.join(fields)}"


def _different(row: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The fields in which two rows of `leads` differ, by name: what they say is nobody's business."""
    return [name for column, name in CONTENT_COLUMNS.items() if _said(row, column) != _said(other, column)]


def _said(row: Mapping[str, Any], column: str) -> Any:
    """What a column says, in whichever order its JSON has it."""
    value = row[column]
    return orjson.loads(value) if column == "additional_data" and value is not None else value


def _content_hash(content: Mapping[str, Any]) -> bytes:
    """A hash that is the same for what says the same: `test` is false where it is not said."""
    said = {name: value for name, value in content.items() if value is not None and value is not False}
    try:
        canonical = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # half a surrogate pair, which the lead is quarantined for
        canonical = json.dumps(said, sort_keys=True).encode()
    return hashlib.sha256(canonical).digest()

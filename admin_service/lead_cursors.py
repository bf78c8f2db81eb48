"""Cursors: where a listing goes on. Opaque to clients; there is nothing secret in them, and nothing to win by
making one up, because they only say after which place to go on among the leads the caller may see.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from admin_service.lead_filters import LeadFilter
from admin_service.lead_order import Order
from shared.errors import validation_failed

VERSION = 1
CURSOR_LENGTH = 2048
_DIGEST_BYTES = 8
_HEAD = struct.Struct(">BIq16s")  # version, page, received_at in microseconds, id
_TIME = struct.Struct(">q")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FAULT = "This value is no cursor of this list, or one for another order or other filters"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place of the last lead of a page (`Order.place_of`), and the number of that page."""

    page: int
    place: list[Any]


def write_cursor(cursor: Cursor, wanted: LeadFilter, order: Order) -> str:
    """The text that goes on after `cursor` in that listing and in no other."""
    *first, received_at, id = cursor.place
    body = _HEAD.pack(VERSION, cursor.page, _microseconds(received_at), id.bytes)
    for value in first:
        body += value if isinstance(value, bytes) else _TIME.pack(_microseconds(value))
    return base64.urlsafe_b64encode(_digest(body, wanted, order) + body).decode().rstrip("=")


def read_cursor(text: str, wanted: LeadFilter, order: Order) -> Cursor:
    """What `write_cursor` has written for the same listing. Raises ApiError 400 that names `cursor`."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        digest, body = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        if digest != _digest(body, wanted, order):
            raise ValueError
        version, page, received_at, id = _HEAD.unpack_from(body)
        if version != VERSION:
            raise ValueError
        first = _first_of(body[_HEAD.size :], order)
        return Cursor(page, [*first, _moment(received_at), UUID(bytes=id)])
    except (binascii.Error, struct.error, ValueError, OverflowError):
        raise validation_failed({"cursor": [_FAULT]}) from None


def _first_of(rest: bytes, order: Order) -> list[Any]:
    if order.name == "createdAt":
        return []
    return [_moment(*_TIME.unpack(rest)) if order.name == "storedAt" else rest]


def _digest(body: bytes, wanted: LeadFilter, order: Order) -> bytes:
    listing = repr((order, replace(wanted, stored_before=None)))
    return hashlib.blake2b(listing.encode() + body, digest_size=_DIGEST_BYTES).digest()


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)

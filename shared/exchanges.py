"""What goes over the queue `api-logs`: requests with their responses, many in a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from shared.messages import Undecodable
from shared.times import parse_time

SCHEMA_VERSION = 1

# What a driver would make something else of, if it were anything else.
_KINDS: list[tuple[str, Any]] = [
    *((name, str) for name in ("request_id", "method", "endpoint", "address")),
    *((name, str | None) for name in ("query", "payload", "user_agent", "body")),
    *((name, int) for name in ("status", "duration_us")),
    ("client_id", int | None),
]


@dataclass(slots=True)  # frozen, it would take five times as long to make one
class Exchange:
    """A request and its response, redacted. The id is its own: clients may use a request id again."""

    id: UUID
    received_at: datetime
    request_id: str
    method: str
    endpoint: str
    query: str | None
    payload: str | None
    client_id: int | None
    address: str
    user_agent: str | None
    status: int
    body: str | None
    duration_us: int


def encode_exchange(exchange: Exchange) -> bytes:
    """One exchange as it stands in a message; `encode_exchanges` takes these."""
    return orjson.dumps(exchange)


def encode_exchanges(encoded: Sequence[bytes]) -> bytes:
    """The message for exchanges that `encode_exchange` has encoded."""
    return b'{"schema":%d,"exchanges":[%b]}' % (SCHEMA_VERSION, b",".join(encoded))


def decode_exchanges(message: bytes) -> list[Exchange]:
    """The exchanges in a message. Raises Undecodable."""
    try:
        found = orjson.loads(message)
        if found["schema"] != SCHEMA_VERSION:
            raise Undecodable(f"schema version {found['schema']!r}, this consumer knows {SCHEMA_VERSION}")
        return [_decode(exchange) for exchange in found["exchanges"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Undecodable(f"no message of exchanges: {type(error).__name__}: {error}") from None


def _decode(exchange: dict[str, Any]) -> Exchange:
    received_at = parse_time(exchange.pop("received_at"))
    for name, kind in _KINDS:
        if not isinstance(exchange[name], kind):
            raise TypeError(f"{name} is {exchange[name]!r:.100}")
    return Exchange(UUID(exchange.pop("id")), received_at, **exchange)

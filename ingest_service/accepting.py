"""What becomes of valid leads, however they were posted: they are received, and made durable."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from uuid_utils.compat import uuid7

from ingest_service.idempotency import hash_of_key, lead_id_of
from ingest_service.stored_duplicates import StoredDuplicates
from shared.current import current_g, current_request, current_service
from shared.errors import ApiError
from shared.messages import Lead
from shared.publisher import Publisher
from shared.queues import NotConfirmed
from shared.times import utc_now

log = logging.getLogger("leadgate.accepting")

DUPLICATE = "Duplicate lead detected"


@dataclass(slots=True)
class Reception:
    """What all leads of the current request have in common, found out once: each look costs 1 µs."""

    client_id: int
    received_at: datetime
    request_id: str
    traceparent: str | None
    key: str | None

    def receive(self, content: dict[str, Any], index: int | None = None) -> Lead:
        """The lead with that validated content; `index` is its place in a batch.

        A key of the lead's own wins over the one that the request has sent.
        """
        own_key = content.pop("idempotencyKey", None)
        key_hash = None
        if own_key is not None:
            key_hash = hash_of_key(own_key)
        elif self.key is not None:
            key_hash = hash_of_key(self.key, index)
        return Lead(
            id=uuid7() if key_hash is None else lead_id_of(self.client_id, key_hash),
            client_id=self.client_id,
            received_at=self.received_at,
            request_id=self.request_id,
            content=content,
            traceparent=self.traceparent,
            key_hash=key_hash,
        )


def reception(key: str | None) -> Reception:
    """Leads of the current request are received now, under `key` if it has sent one."""
    known, environ = current_g(), current_request().environ
    return Reception(known.user.id, utc_now(), known.request_id, environ.get("HTTP_TRACEPARENT"), key)


def refused_duplicates(leads: Sequence[Lead]) -> list[bool]:
    """Of each of these leads of one partner, whether DUPLICATE_POLICY refuses it."""
    stored: StoredDuplicates | None = current_service().extensions["leadgate.stored_duplicates"]
    return [False] * len(leads) if stored is None else stored.among(leads)


def make_durable(leads: Sequence[bytes]) -> str:
    """What the encoded `leads` of one request rest on, once they do.

    Raises ApiError 503 if that cannot be had in time; then none of them is accepted.
    """
    publisher = cast(Publisher, current_service().extensions["leadgate.publisher"])
    try:
        publisher.accept(leads)
    except NotConfirmed as error:
        log.warning("%d leads of request %s are not accepted: %s", len(leads), current_g().request_id, error)
        what = "The lead" if len(leads) == 1 else "The leads"
        it = "it" if len(leads) == 1 else "them"
        raise ApiError(
            503, f"{what} could not be stored safely; send {it} again", headers={"Retry-After": "5"}
        ) from None
    return publisher.durability

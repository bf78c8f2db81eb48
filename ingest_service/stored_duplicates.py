"""Whether a lead would be a duplicate of a stored one; asked only with DUPLICATE_POLICY=reject."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from shared.database import in_short, open_for_look_ups
from shared.email_hashes import EmailHashes, open_email_hashes
from shared.messages import Lead
from shared.models import duplicate_keys, idempotency_keys
from shared.offload import one_thread
from shared.settings import Settings

log = logging.getLogger("leadgate.stored_duplicates")

PATIENCE_SECONDS = 0.5  # each for a connection and for an answer
PAUSE_SECONDS = 1.0  # between two attempts to ask a database that does not answer


class _First(NamedTuple):
    lead_id: UUID
    received_at: datetime


class StoredDuplicates:
    """Knows the first stored lead of each partner and email, by one read of the database a request.

    While the database does not answer no lead is known: it is accepted then, and the consumer marks it.
    `elapsed` counts seconds from anywhere.
    """

    def __init__(
        self,
        engine: Engine,
        hashes: EmailHashes,
        window: timedelta,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._hash = hashes
        self._window = window
        self._elapsed = elapsed
        self._gone_until = float("-inf")

    def among(self, leads: Sequence[Lead]) -> list[bool]:
        """Of each of these leads of one partner, whether it would be a duplicate of a stored one.

        Test leads never are, and neither is what was stored itself and is sent again under its key.
        """
        if not leads or self._elapsed() < self._gone_until:
            return [False] * len(leads)
        hashes = [self._hash(lead.content["email"]) for lead in leads]
        try:
            with self._engine.connect() as connection:
                firsts = _firsts(connection, leads[0].client_id, hashes)
                found = [
                    self._is_duplicate(lead, firsts.get(email_hash))
                    for lead, email_hash in zip(leads, hashes, strict=True)
                ]
                keys = [
                    lead.key_hash for lead, is_duplicate in zip(leads, found, strict=True) if is_duplicate
                ]
                sent_again = _stored_keys(connection, leads[0].client_id, [key for key in keys if key])
        except SQLAlchemyError as error:
            self._gone_until = self._elapsed() + PAUSE_SECONDS
            log.warning("leads are accepted without a look for duplicates: %s", in_short(error))
            return [False] * len(leads)
        return [
            is_duplicate and lead.key_hash not in sent_again
            for lead, is_duplicate in zip(leads, found, strict=True)
        ]

    def _is_duplicate(self, lead: Lead, first: _First | None) -> bool:
        if first is None or first.lead_id == lead.id or lead.content.get("test") is True:
            return False
        return abs(lead.received_at - first.received_at) < self._window


def _firsts(connection: Connection, client_id: int, hashes: Sequence[bytes]) -> dict[bytes, _First]:
    table = duplicate_keys.c
    query = select(table.email_hash, table.lead_id, table.received_at).where(
        table.client_id == client_id, table.email_hash.in_(hashes)
    )
    return {bytes(row.email_hash): _First(row.lead_id, row.received_at) for row in connection.execute(query)}


def _stored_keys(connection: Connection, client_id: int, key_hashes: Sequence[bytes]) -> set[bytes]:
    """Those of the idempotency keys under which a lead is stored."""
    if not key_hashes:
        return set()
    table = idempotency_keys.c
    query = select(table.key_hash).where(table.client_id == client_id, table.key_hash.in_(key_hashes))
    return {bytes(key_hash) for key_hash in connection.scalars(query)}


def stored_duplicates_of(settings: Settings) -> StoredDuplicates | None:
    """What refuses duplicates under these settings; None where nothing does. Raises NoEmailHashKey."""
    if settings.duplicate_policy != "reject" or not settings.duplicate_window_days:
        return None
    engine = open_for_look_ups(settings.leads_database_url, one_thread(), seconds=PATIENCE_SECONDS)
    window = timedelta(days=settings.duplicate_window_days)
    return StoredDuplicates(engine, open_email_hashes(settings), window)

"""Whether a lead would be a duplicate of a stored one; asked only with DUPLICATE_POLICY=reject."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from shared.database import in_short, open_for_look_ups
from shared.email_hashes import EmailHashes, open_email_hashes
from shared.messages import Lead
from shared.models import duplicate_keys
from shared.offload import one_thread
from shared.settings import Settings

log = logging.getLogger("leadgate.stored_duplicates")

PATIENCE_SECONDS = 0.5  # each for a connection and for an answer
PAUSE_SECONDS = 1.0  # between two attempts to ask a database that does not answer


class StoredDuplicates:
    """Knows the first lead of each partner and email, by one read of the database a question.

    While the database does not answer, no lead is known: it is accepted then, and the consumer marks it.
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

    def has_first_of(self, lead: Lead) -> bool:
        """Whether another lead is stored that `lead` would be a duplicate of; never so for a test lead."""
        if lead.content.get("test") is True or self._elapsed() < self._gone_until:
            return False
        table = duplicate_keys.c
        first_lead = select(table.lead_id, table.received_at).where(
            table.client_id == lead.client_id, table.email_hash == self._hash(lead.content["email"])
        )
        try:
            with self._engine.connect() as connection:
                first = connection.execute(first_lead).first()
        except SQLAlchemyError as error:
            self._gone_until = self._elapsed() + PAUSE_SECONDS
            log.warning("leads are accepted without a look for duplicates: %s", in_short(error))
            return False
        if first is None or first.lead_id == lead.id:
            return False
        return bool(abs(lead.received_at - first.received_at) < self._window)


def stored_duplicates_of(settings: Settings) -> StoredDuplicates | None:
    """What refuses duplicates under these settings; None where nothing does. Raises NoEmailHashKey."""
    if settings.duplicate_policy != "reject" or not settings.duplicate_window_days:
        return None
    engine = open_for_look_ups(settings.leads_database_url, one_thread(), seconds=PATIENCE_SECONDS)
    window = timedelta(days=settings.duplicate_window_days)
    return StoredDuplicates(engine, open_email_hashes(settings), window)

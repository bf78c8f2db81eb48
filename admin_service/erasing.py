"""Erasing a person, or one lead: it is noted first, so that nothing comes back, and then deleted everywhere.

shared/erasures.py has the reasoning. Each step is a transaction of its own, and all of them may be done
again: an erasure that was cut short is asked for once more. The leads go last, since they say where else to
look.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Connection, Engine, Row, delete, or_, select

from admin_service.audit import record_change
from admin_service.lead_filters import LeadFilter
from admin_service.log_wiping import wipe_logs
from admin_service.quarantine_rows import lead_of, waiting_as
from shared.columns import normalised, sort_key
from shared.database import forget_deleted, upsert, writing
from shared.emails_in_text import emails_in
from shared.erasures import Erasures
from shared.lead_counting import Counted, rows_of_counts
from shared.models import app_users, duplicate_keys, idempotency_keys, lead_counts, leads, quarantined_leads

CHUNK = 500  # leads that are deleted in one transaction

_parked = quarantined_leads.c


def erase_email(engine: Engine, erasures: Erasures, email: str, now: datetime) -> int:
    """Deletes all that is known of that email; how many leads that were."""
    email_hash = erasures.hashes(email)
    with writing(engine).begin() as connection:
        erasures.note(connection, now, emails=[email])
    with writing(engine).begin() as connection:
        # Of each partner, as the primary key begins with it: else every key there is would be read.
        of_anybody = duplicate_keys.c.client_id.in_(connection.scalars(select(app_users.c.id)).all())
        of_email = duplicate_keys.c.email_hash == email_hash
        connection.execute(delete(duplicate_keys).where(of_anybody, of_email))
    text = normalised(email)
    parked = or_(_parked.email_hash == email_hash, _parked.id.in_(_messages_with(engine, text)))
    stored = [leads.c.email_key == sort_key(email), *LeadFilter().of_leads(by_kind=True)]
    found = _Found(stored, parked)
    erased = _erase(engine, erasures, found, {email, text}, now)
    with writing(engine).begin() as connection:
        # The hash without its key says nothing of the email.
        record_change(connection, "erase", "person", email_hash.hex()[:16], None, {"leads": erased})
    forget_deleted(engine)
    return erased


def erase_lead(engine: Engine, erasures: Erasures, id: UUID, now: datetime) -> bool:
    """Deletes one lead, stored or quarantined; False if there is none."""
    found = _Found([leads.c.id == id], waiting_as(id))
    with engine.connect() as connection:
        if not found.is_there(connection):
            return False
    with writing(engine).begin() as connection:
        erasures.note(connection, now, lead_ids=[id])
    _erase(engine, erasures, found, {str(id)}, now)
    with writing(engine).begin() as connection:
        record_change(connection, "erase", "lead", id, None, None)
    forget_deleted(engine)
    return True


def _messages_with(engine: Engine, email: str) -> list[UUID]:
    """Messages in quarantine that say the email and are no leads, so that nobody knows whose they are."""
    with engine.connect() as connection:
        # Waits for those that are just being parked.
        ids = connection.scalars(select(_parked.id).where(_parked.lead_id.is_(None)).with_for_update()).all()
    return [id for id in ids if _says(engine, id, email)]


def _says(engine: Engine, id: UUID, email: str) -> bool:
    with engine.connect() as connection:
        payload = connection.scalar(select(_parked.payload).where(_parked.id == id))
    text = (payload or b"").decode(errors="replace")
    return email in normalised(text) or email in map(normalised, emails_in(text))


class _Found:
    """The conditions on what is to be deleted."""

    def __init__(self, stored: Sequence[ColumnElement[bool]], parked: ColumnElement[bool]) -> None:
        self.stored = select(leads).where(*stored)
        self.parked = select(quarantined_leads).where(parked)

    def is_there(self, connection: Connection) -> bool:
        queries = (self.stored.limit(1), self.parked.limit(1))
        return any(connection.execute(query).first() is not None for query in queries)


@dataclass(frozen=True)
class _Traces:
    """What leads say of where else to look: how the email was written, and with which requests they came."""

    texts: frozenset[str]
    request_ids: frozenset[str]

    @classmethod
    def of(cls, stored: Iterable[Any], parked: Iterable[Row[Any]]) -> _Traces:
        """Those of rows of `leads` and of quarantine."""
        said = [(row.email, row.request_id) for row in stored]
        of_quarantine = [lead for row in parked if (lead := lead_of(row)) is not None]
        said += [(lead.content.get("email"), lead.request_id) for lead in of_quarantine]
        texts = frozenset(email for email, _ in said if isinstance(email, str))
        return cls(texts, frozenset(request_id for _, request_id in said))

    def __or__(self, other: _Traces) -> _Traces:
        return _Traces(self.texts | other.texts, self.request_ids | other.request_ids)


def _erase(engine: Engine, erasures: Erasures, found: _Found, texts: set[str], now: datetime) -> int:
    """Takes what is found out of the logs, with all that says one of `texts`, and deletes it; how many leads
    that were."""
    with engine.connect() as connection:
        said = connection.execute(found.stored.with_only_columns(leads.c.email, leads.c.request_id))
        seen = _Traces.of(said.all(), connection.execute(found.parked).all())
    wipe_logs(engine, seen.texts | texts, seen.request_ids)
    number, deleted = _delete_all(engine, erasures, found, now)
    if deleted | seen != seen:  # stored meanwhile
        wipe_logs(engine, deleted.texts - seen.texts, deleted.request_ids - seen.request_ids)
    return number


def _delete_all(engine: Engine, erasures: Erasures, found: _Found, now: datetime) -> tuple[int, _Traces]:
    """How many leads that were, and what they have said."""
    number, deleted = 0, _Traces.of((), ())
    while True:
        with writing(engine).begin() as connection:
            stored = connection.execute(found.stored.limit(CHUNK).with_for_update()).all()
            parked = connection.execute(found.parked.limit(CHUNK).with_for_update()).all()
            if not stored and not parked:
                return number, deleted
            traces = _Traces.of(stored, parked)
            came_from = {row.replay_of for row in stored if row.replay_of is not None}
            # A replay that is on its way may say something else of somebody else, and a log that was cut may
            # have a name and no email. The leads' own ids are not noted: under one key others may have come.
            of_quarantine = {row.id for row in parked} | came_from
            erasures.note(connection, now, lead_ids=of_quarantine, request_ids=traces.request_ids)
            number += _delete(connection, stored, parked, came_from)
        deleted |= traces


def _delete(
    connection: Connection, stored: Sequence[Row[Any]], parked: Sequence[Row[Any]], came_from: set[UUID]
) -> int:
    """How many leads that were; one that was in quarantine before it was stored is one."""
    counts: Counter[Counted] = Counter(
        (row.client_id, row.test, row.status, row.received_at) for row in stored
    )
    counts.update(counted for row in parked if (counted := _counted(connection, row, came_from)) is not None)
    _delete_rows(connection, stored, parked, came_from)
    _forget_keys(connection, stored, parked)
    taken_away = Counter({key: -number for key, number in counts.items()})
    upsert(connection, lead_counts, rows_of_counts(taken_away), add=["leads"])
    return counts.total()


def _delete_rows(
    connection: Connection, stored: Sequence[Row[Any]], parked: Sequence[Row[Any]], came_from: set[UUID]
) -> None:
    keys = [(row.received_at, row.id) for row in stored]
    for received_at, id in keys:
        connection.execute(delete(leads).where(leads.c.received_at == received_at, leads.c.id == id))
    of_quarantine = {row.id for row in parked} | came_from
    if of_quarantine:
        connection.execute(delete(quarantined_leads).where(_parked.id.in_(of_quarantine)))


def _forget_keys(connection: Connection, stored: Sequence[Row[Any]], parked: Sequence[Row[Any]]) -> None:
    """Deletes what the leads held: what is posted from now on may hold it."""
    of_stored = {row.id for row in stored}
    keys, firsts = idempotency_keys.c, duplicate_keys.c
    holds = or_(keys.lead_id.in_(of_stored), keys.place_id.in_({row.id for row in parked}))
    of_any = of_stored | {row.lead_id for row in parked if row.lead_id is not None}
    _delete_held(connection, (keys.client_id, keys.key_hash, keys.lead_id), keys.lead_id.in_(of_any) & holds)
    is_first = firsts.lead_id.in_(of_stored)
    _delete_held(connection, (firsts.client_id, firsts.email_hash, firsts.lead_id), is_first)


def _delete_held(connection: Connection, columns: Sequence[Column[Any]], wanted: ColumnElement[bool]) -> None:
    """Deletes rows in the order of their primary key, in which consumers claim them, but none that is another
    lead's by then."""
    for row in connection.execute(select(*columns).where(wanted).order_by(*columns)).all():
        is_it = (column == value for column, value in zip(columns, row, strict=True))
        connection.execute(delete(columns[0].table).where(*is_it))


def _counted(connection: Connection, row: Row[Any], came_from: set[UUID]) -> Counted | None:
    """How a row of quarantine is counted; None if its lead was stored since, and is counted there."""
    lead = lead_of(row)
    if lead is None or row.id in came_from:
        return None
    stored = select(leads.c.id).where(leads.c.id == row.replayed_as, leads.c.replay_of == row.id)
    if row.replayed_as is not None and connection.execute(stored.limit(1)).first() is not None:
        return None
    return lead.client_id, lead.content.get("test") is True, "quarantined", lead.received_at

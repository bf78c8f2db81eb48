"""Taking people out of the log of exchanges: what was said goes, that something was said stays."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, or_, select, update

from shared.database import writing
from shared.models import api_request_logs as requests
from shared.models import api_response_logs as responses

CHUNK = 2000  # exchanges that are looked through in one transaction
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


def wipe_logs(engine: Engine, texts: Collection[str], request_ids: Collection[str]) -> None:
    """Takes query and bodies out of all exchanges that have one of `texts` in them or one of those ids.

    Reads the whole log, a chunk at a time. It waits for rows that are being written, and so misses none.
    """
    said = sorted({text.lower() for text in texts})
    for begin, end in _stretches(engine):
        with writing(engine).begin() as connection:
            _wipe(connection, _within(begin, end), said, request_ids)


def _stretches(engine: Engine) -> Iterator[tuple[datetime, datetime | None]]:
    """The log in chunks, from one moment to before the other; the last one has no end."""
    begin = _FIRST
    while True:
        received_at = requests.c.received_at
        with engine.connect() as connection:
            query = (
                select(received_at).where(received_at > begin).order_by(received_at).limit(1).offset(CHUNK)
            )
            end = connection.scalar(query)
        yield begin, end
        if end is None:
            return
        begin = end


def _within(begin: datetime, end: datetime | None) -> list[ColumnElement[bool]]:
    received_at = requests.c.received_at
    return [received_at >= begin] if end is None else [received_at >= begin, received_at < end]


def _wipe(
    connection: Connection, within: list[ColumnElement[bool]], said: list[str], request_ids: Collection[str]
) -> None:
    same = and_(responses.c.received_at == requests.c.received_at, responses.c.id == requests.c.id)
    found = [_has(column, text) for text in said for column in (requests.c.payload, responses.c.body)]
    found += [
        _has(requests.c.query, form) for text in said for form in {text, quote(text), quote(text, "").lower()}
    ]
    if request_ids:
        found.append(requests.c.request_id.in_(request_ids))
    statement = select(requests.c.received_at, requests.c.id).select_from(requests).outerjoin(responses, same)
    for row in connection.execute(statement.where(*within, or_(*found)).with_for_update()).all():
        for table, columns in ((requests, {"query": None, "payload": None}), (responses, {"body": None})):
            key = and_(table.c.received_at == row.received_at, table.c.id == row.id)
            connection.execute(update(table).where(key).values(columns))


def _has(column: Any, text: str) -> ColumnElement[bool]:
    return func.instr(func.lower(column), text) > 0

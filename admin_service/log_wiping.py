"""Taking people out of the log of exchanges: what was said goes, that something was said stays."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy import ColumnElement, Engine, and_, func, or_, select, true, update

from shared.database import writing
from shared.models import api_request_logs as requests
from shared.models import api_response_logs as responses

# Exchanges that one statement looks through: at most 16 MiB, half a second was seen on MariaDB.
# A service gives a statement up after PATIENCE_SECONDS (shared/reading.py).
CHUNK = 500
CONDITIONS = 50  # of one statement; an email may be written in many ways
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


def wipe_logs(engine: Engine, texts: Collection[str], request_ids: Collection[str]) -> None:
    """Takes query and bodies out of all exchanges that have one of `texts` in them or one of those ids.

    Reads the whole log, in steps that are as short however long it is, and keeps nobody from writing
    meanwhile. It waits for rows that are being written, and so misses none.
    """
    for ids in _in_parts(sorted(request_ids), CHUNK):
        with_one = requests.c.request_id.in_(ids)
        for within in _stretches(engine, with_one):
            _wipe(engine, with_one, within)
    for conditions in _in_parts(_having(texts), CONDITIONS):
        for within in _stretches(engine, true()):
            _wipe(engine, or_(*conditions), within)


def _stretches(engine: Engine, wanted: ColumnElement[bool]) -> Iterator[ColumnElement[bool]]:
    """Conditions that each find about CHUNK of the exchanges that are wanted, and together all of them."""
    begin = _FIRST
    while True:
        received_at = requests.c.received_at
        with engine.connect() as connection:
            query = select(received_at).where(wanted, received_at > begin)
            end = connection.scalar(query.order_by(received_at).limit(1).offset(CHUNK))
        if end is None:
            yield received_at >= begin
            return
        yield and_(received_at >= begin, received_at < end)
        begin = end


def _wipe(engine: Engine, wanted: ColumnElement[bool], within: ColumnElement[bool]) -> None:
    """Wipes the exchanges of a stretch that are wanted.

    They are looked for in a transaction that writes nothing: SQLite has one writer at a time. Between the two
    nothing can come in, since nobody else changes what is in the log.
    """
    same = and_(responses.c.received_at == requests.c.received_at, responses.c.id == requests.c.id)
    found = select(requests.c.received_at, requests.c.id).select_from(requests).outerjoin(responses, same)
    with engine.connect() as connection:
        rows = connection.execute(found.where(wanted, within).with_for_update()).all()
    if not rows:
        return
    with writing(engine).begin() as connection:
        for row in rows:
            for table, columns in ((requests, {"query": None, "payload": None}), (responses, {"body": None})):
                key = and_(table.c.received_at == row.received_at, table.c.id == row.id)
                connection.execute(update(table).where(key).values(columns))


def _having(texts: Iterable[str]) -> list[ColumnElement[bool]]:
    """The conditions that one of `texts` is said, as it stands or as JSON and URLs have it."""
    said = sorted({form for text in texts for form in _forms(text)})
    as_json = sorted({json.dumps(form, ensure_ascii=cut)[1:-1] for form in said for cut in (True, False)})
    in_urls = sorted({form for text in said for form in (text, quote(text).lower(), quote(text, "").lower())})
    bodies = [_has(column, form) for form in as_json for column in (requests.c.payload, responses.c.body)]
    return bodies + [_has(requests.c.query, form) for form in in_urls]


def _forms(text: str) -> set[str]:
    """The ways in which lower() may have it: SQLite's knows the letters of ASCII only."""
    return {_lower_ascii(form) for form in (text, text.lower(), text.upper())}


def _lower_ascii(text: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def _in_parts(all_of_them: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for begin in range(0, len(all_of_them), size):
        yield all_of_them[begin : begin + size]


def _has(column: Any, text: str) -> ColumnElement[bool]:
    return func.instr(func.lower(column), text) > 0

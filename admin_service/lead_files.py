"""Leads as lines of a file: CSV that is safe to open in a spreadsheet, or JSON a line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from admin_service.answers import CSV, NDJSON

# What a spreadsheet may take for a formula, also where it was typed with full-width characters.
_FORMULA = re.compile("[=+\\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"\+[0-9]+")


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How leads are written: `head` stands before the first. Both get the names of the fields, and `lines`
    the leads as they read back."""

    media_type: str
    head: Callable[[Sequence[str]], bytes]
    lines: Callable[[Sequence[str], Sequence[dict[str, Any]]], bytes]


def _csv_head(names: Sequence[str]) -> bytes:
    return _csv([names])


def _csv_lines(names: Sequence[str], leads: Sequence[dict[str, Any]]) -> bytes:
    return _csv([[_cell(lead.get(name)) for name in names] for lead in leads])


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    """Nothing for null, text as it is, JSON for the rest; before what may be a formula an apostrophe.

    A phone number such as +4915112345678 may not: it is a number to a spreadsheet, and stays importable.
    """
    if value is None:
        return ""
    text = value if isinstance(value, str) else _json(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _json(value: Any) -> str:
    """Ids and dates stand without the quotes that JSON would have."""
    return orjson.dumps(value).decode().strip('"')


def _no_head(names: Sequence[str]) -> bytes:
    return b""


def _ndjson_lines(names: Sequence[str], leads: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(lead, option=orjson.OPT_APPEND_NEWLINE) for lead in leads)


FORMATS = {
    "csv": FileFormat(CSV, _csv_head, _csv_lines),
    "ndjson": FileFormat(NDJSON, _no_head, _ndjson_lines),
}

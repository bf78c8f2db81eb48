"""The three ways to write a batch of leads, read lead by lead: JSON, NDJSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request

from shared.errors import ApiError, FieldErrors
from shared.strict_json import JsonRefused, list_items, loads

NDJSON, CSV = "application/x-ndjson", "text/csv"
LEAD_BYTES = 1024 * 1024  # as much as one lead may have that is posted alone
ADDITIONAL = "additionalData."  # what the column of a field in additionalData begins with
_FLAGS = {"true": True, "false": False}


class Unreadable(Exception):
    """The batch as a whole cannot be read; says why."""


@dataclass(frozen=True, slots=True)
class NoLead:
    """What stands in place of a lead and cannot be read as one."""

    errors: FieldErrors


Entry = dict[str, Any] | NoLead


def read_entries(body: bytes) -> Iterator[Entry]:
    """The leads in the body of the current request, each read when it is its turn.

    Raises ApiError 415 if the body is said to be anything else, and Unreadable, perhaps after some leads.
    """
    if request.is_json:
        return _of_json(body)
    if request.mimetype == NDJSON:
        return _of_ndjson(body)
    if request.mimetype == CSV:
        return _of_csv(body)
    raise ApiError(415, f"The body must be application/json, {NDJSON} or {CSV}")


def _of_json(body: bytes) -> Iterator[Entry]:
    try:
        for value, length in list_items(body, "leads"):
            yield _entry(value, length)
    except JsonRefused as refused:
        raise Unreadable(str(refused)) from None


def _of_ndjson(body: bytes) -> Iterator[Entry]:
    """A lead a line. What is wrong with a line is that lead's fault only; an empty line is none."""
    for line in io.BytesIO(body):
        if not line.strip():
            continue
        try:
            yield _entry(loads(line), len(line))
        except JsonRefused as refused:
            yield _no_lead(str(refused))


def _entry(value: Any, length: int) -> Entry:
    if length > LEAD_BYTES:
        return _no_lead(f"This value is longer than {LEAD_BYTES} bytes")
    if not isinstance(value, dict):
        return _no_lead("This value should be an object")
    return value


def _no_lead(fault: str) -> NoLead:
    return NoLead({"lead": [fault]})


def _of_csv(body: bytes) -> Iterator[Entry]:
    """A lead a row; the first row has the names of its fields. An empty line is no row."""
    rows = csv.reader(io.TextIOWrapper(io.BytesIO(body), "utf-8-sig", newline=""), strict=True)
    try:
        names = _names([cell.strip() for cell in next(rows, [])])
        for cells in rows:
            if cells:
                yield _lead_in(names, cells)
    except csv.Error as error:
        raise Unreadable(f"Malformed CSV: {error} (line {rows.line_num})") from None
    except UnicodeDecodeError:
        raise Unreadable(f"The CSV is not UTF-8 (after line {rows.line_num})") from None


def _names(header: list[str]) -> list[str]:
    if not any(header):
        raise Unreadable("The CSV has no header row")
    for number, name in enumerate(header, 1):
        if not name:
            raise Unreadable(f"Column {number} of the CSV has no name")
        if name in header[: number - 1]:
            raise Unreadable(f"Two columns of the CSV have the name {name[:100]!r}")
    return header


def _lead_in(names: Sequence[str], cells: Sequence[str]) -> Entry:
    """The lead in a row: an empty cell is a field that is not there."""
    if any(cells[len(names) :]):
        return _no_lead(f"The row has {len(cells)} cells, and the header {len(names)}")
    lead: dict[str, Any] = {}
    additional: dict[str, str] = {}
    for name, cell in zip(names, cells, strict=False):
        if "\0" in cell:
            return NoLead({name: ["This value has a NUL character"]})
        if not cell:
            continue
        if name.startswith(ADDITIONAL):
            additional[name.removeprefix(ADDITIONAL)] = cell
        elif name == "verticals":
            lead[name] = cell.split("|")
        elif name == "test":
            lead[name] = _FLAGS.get(cell, cell)
        else:
            lead[name] = cell
    if additional:
        # A column of that name has text, which the schema blames.
        lead.setdefault("additionalData", additional)
    return lead

"""Export: every lead of a filter as one file, streamed, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import Engine

from admin_service.exports import CHUNK
from shared.database import open_database
from shared.keys import KeyRing
from shared.messages import Lead
from shared.migrations import upgrade
from shared.models import leads as leads_table
from tests.factories import NOON, make_lead
from tests.integration.calling import Answer, Caller, add_admin, add_partner, is_error, new_app
from tests.integration.lists import in_order, store

EXPORT = "/api/leads/export"


@pytest.fixture
def app(engine: Engine, keys: KeyRing) -> Flask:
    return new_app("admin", engine, keys)


def export(caller: Caller, **query: Any) -> Answer:
    answer = caller.get(f"{EXPORT}?{urlencode(query)}")
    assert answer.status_code == 200, answer.text
    return answer


def lines_of(answer: Answer) -> list[dict[str, Any]]:
    """The leads in an NDJSON file."""
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def table_of(answer: Answer) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_an_export_has_every_lead_of_the_list_once_in_its_order(engine: Engine, app: Flask) -> None:
    partner = add_partner(engine)
    # Many share a moment, so that chunks end between leads of the same one.
    stored = [
        make_lead(client_id=partner.id, received_at=NOON + timedelta(seconds=n // 100))
        for n in range(2 * CHUNK + 1)
    ]
    store(engine, *stored, make_lead(client_id=partner.id + 1))
    caller = partner.calls(app)

    for file_format, read in (("ndjson", lines_of), ("csv", table_of)):
        found = read(export(caller, format=file_format))  # type: ignore[operator]
        assert [lead["id"] for lead in found] == in_order(stored, "createdAt", "DESC")


def test_a_line_of_json_is_the_lead_as_it_reads_back(engine: Engine, app: Flask) -> None:
    partner, admin = add_partner(engine), add_admin(engine)
    lead = make_lead(client_id=partner.id, verticals=["solar"], additionalData={"b": [1.0, None], "a": "ä\n"})
    store(engine, lead)

    for caller in (partner.calls(app), admin.calls(app)):
        assert lines_of(export(caller, format="ndjson")) == [caller.get(f"/api/leads/{lead.id}").json["data"]]


def test_a_csv_file_has_a_column_for_every_field(engine: Engine, app: Flask) -> None:
    partner, admin = add_partner(engine), add_admin(engine)
    lead = make_lead(client_id=partner.id, lastName='O"Brien,\r\nJr.', city=None, verticals=["solar", "wind"])
    store(engine, lead)

    for caller in (partner.calls(app), admin.calls(app)):
        read_back = caller.get(f"/api/leads/{lead.id}").json["data"]
        (row,) = table_of(export(caller))
        assert row.pop("replayOf") == ""
        assert list(row) == list(read_back)
        for name, value in read_back.items():
            shown = row[name] if isinstance(value, str) else row[name] and json.loads(row[name])
            assert shown == ("" if value is None else value), name


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", '=HYPERLINK("x")', "+49/"]
)
def test_no_text_becomes_a_formula(engine: Engine, app: Flask, text: str) -> None:
    partner = add_partner(engine)
    store(engine, make_lead(client_id=partner.id, firstName=text, city=f"a{text}"))

    (row,) = table_of(export(partner.calls(app)))

    assert (row["firstName"], row["city"]) == (f"'{text}", f"a{text}")


def test_a_phone_number_is_no_formula(engine: Engine, app: Flask) -> None:
    partner = add_partner(engine)
    store(engine, make_lead(client_id=partner.id, phone="+4915112345678"))

    assert table_of(export(partner.calls(app)))[0]["phone"] == "+4915112345678"


def test_the_filters_are_those_of_the_list(engine: Engine, app: Flask) -> None:
    partner, admin = add_partner(engine), add_admin(engine)
    other = add_partner(engine, "other@example.com")

    def lead(minutes: int, client_id: int = partner.id, **content: Any) -> Lead:
        return make_lead(client_id=client_id, received_at=NOON + timedelta(minutes=minutes), **content)

    stored = [lead(0), lead(1, test=True), lead(2, email="Ada@Example.com"), lead(3, other.id)]
    stored.append(lead(200, phone="+441632960123"))
    store(engine, *stored)

    for query in (
        {},
        {"test": "true"},
        {"email": "ada@example.com"},
        {"phone": "+441632960123"},
        {"status": "stored"},
        {"status": "duplicate"},
        {"from": "2026-06-01T12:01:00Z", "to": "2026-06-01T12:03:00Z"},
        {"clientId": other.id},
    ):
        listed = admin.calls(app).get(f"/api/leads?{urlencode(query)}").json["data"]["items"]
        assert lines_of(export(admin.calls(app), format="ndjson", **query)) == listed, query


def test_an_export_of_nothing_is_a_header_row_or_no_line(engine: Engine, app: Flask) -> None:
    caller = add_partner(engine).calls(app)

    assert export(caller).text.startswith("id,status,duplicateOf,")
    assert len(export(caller).text.splitlines()) == 1
    assert export(caller, format="ndjson").data == b""


def test_it_is_a_file_to_save_and_not_to_share(engine: Engine, app: Flask) -> None:
    caller = add_partner(engine).calls(app)

    for file_format in ("csv", "ndjson"):
        headers = export(caller, format=file_format).headers
        name = headers["Content-Disposition"].removeprefix('attachment; filename="leads-')
        assert name.endswith(f'Z.{file_format}"')
        assert headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("query", "blamed"),
    [
        ("format=xlsx", "format"),
        ("page=2", "page"),
        ("test=perhaps", "test"),
        ("from=2026-01-02&to=2026-01-01", "to"),
        ("clientId=1", "clientId"),
        ("format=csv&format=csv", "format"),
    ],
)
def test_a_bad_parameter_is_named(engine: Engine, app: Flask, query: str, blamed: str) -> None:
    answer = add_partner(engine).calls(app).get(f"{EXPORT}?{query}")

    assert is_error(answer, 400, "Validation failed")
    assert list(answer.json["errors"]) == [blamed]


@pytest.fixture
def doomed_engine(tmp_path: Path) -> Iterator[Engine]:
    """A database of this test's own, which loses a table."""
    engine = open_database(f"sqlite:///{tmp_path / 'leads.sqlite3'}")
    upgrade(engine)
    yield engine
    engine.dispose()


def test_a_fault_on_the_way_breaks_the_answer_off(doomed_engine: Engine, keys: KeyRing) -> None:
    app, partner = new_app("admin", doomed_engine, keys), add_partner(doomed_engine)
    store(doomed_engine, *(make_lead(client_id=partner.id) for _ in range(2 * CHUNK)))
    headers = {"X-AUTH-Token": partner.api_key}

    answer = app.test_client().open(EXPORT, headers=headers, buffered=False)
    lines = answer.iter_encoded()
    assert next(lines).startswith(b"id,")
    assert next(lines)
    leads_table.drop(doomed_engine)

    with pytest.raises(Exception, match="no such table"):
        list(lines)


def test_a_fault_before_the_first_line_is_an_error_of_its_own(doomed_engine: Engine, keys: KeyRing) -> None:
    app, partner = new_app("admin", doomed_engine, keys), add_partner(doomed_engine)
    leads_table.drop(doomed_engine)

    message = "The database cannot be reached now; try again"
    assert is_error(partner.calls(app).get(EXPORT), 503, message)

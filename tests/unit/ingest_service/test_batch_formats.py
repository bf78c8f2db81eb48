"""A batch as NDJSON or CSV is the same leads as in JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from ingest_service.batch_formats import Entry, NoLead, Unreadable, read_entries
from tests.factories import lead_body
from tests.fakes import FakeProducer
from tests.unit.shared.refusals import OPTIONAL

_app = Flask("test")


def entries(body: bytes, content_type: str) -> list[Entry]:
    with _app.test_request_context(content_type=content_type):
        return list(read_entries(body))


def of_csv(text: str | bytes) -> list[Entry]:
    return entries(text.encode() if isinstance(text, str) else text, "text/csv")


def of_ndjson(body: bytes) -> list[Entry]:
    return entries(body, "application/x-ndjson")


def faults(entry: Entry) -> dict[str, list[str]]:
    assert isinstance(entry, NoLead)
    return entry.errors


def as_csv(rows: list[list[str]], **options: Any) -> str:
    text = io.StringIO()
    csv.writer(text, **options).writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson", "text/csv"])
def test_the_same_leads_may_be_written_in_three_ways(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer, content_type: str
) -> None:
    lead = lead_body(**OPTIONAL)
    cells = lead | {"verticals": "solar|wind", "test": "true", "additionalData.source": "web"}
    del cells["additionalData"]
    body = {
        "application/json": json.dumps({"leads": [lead]}),
        "application/x-ndjson": json.dumps(lead),
        "text/csv": as_csv([list(cells), list(cells.values())]),
    }[content_type]
    sent = f"{content_type}; charset=utf-8"
    response = ingest.post("/api/leads/batch", data=body.encode(), content_type=sent, headers=headers)
    assert response.status_code == 201, response.data
    assert response.get_json()["data"]["results"][0]["clientReference"] == "ref-1"
    assert producer.batches()[0].leads[0].content == lead


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "multipart/form-data"])
def test_another_way_is_415(ingest: FlaskClient, headers: dict[str, str], content_type: str) -> None:
    response = ingest.post("/api/leads/batch", data=b"x", content_type=content_type, headers=headers)
    assert response.status_code == 415
    assert "text/csv" in response.get_json()["message"]


def test_a_csv_without_a_fault_of_its_own_is_judged_lead_by_lead(
    ingest: FlaskClient, headers: dict[str, str]
) -> None:
    body = "email,test,source\nx,yes,web\n"
    response = ingest.post("/api/leads/batch", data=body, content_type="text/csv", headers=headers)
    assert response.status_code == 400
    errors = response.get_json()["data"]["results"][0]["errors"]
    assert {"email", "test", "firstName", "lastName", "phone", "dateOfBirth"} == set(errors)


def test_a_fault_in_a_line_of_ndjson_is_that_lines_only() -> None:
    good, bad, wide, no_object, last = of_ndjson(b'{"a":1}\n{"a":\n\xff\n[]\n\n  \n{"b":2}')
    assert (good, last) == ({"a": 1}, {"b": 2})
    assert faults(bad)["lead"][0].startswith("Malformed JSON: ")
    assert faults(wide) == {"lead": ["The JSON is not UTF-8 (byte 0)"]}
    assert faults(no_object) == {"lead": ["This value should be an object"]}


def test_lines_of_ndjson_are_strict_json() -> None:
    for line in (
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\u0000"}',
        b'{"a":' + b"[" * 70,
    ):
        (entry,) = of_ndjson(line)
        assert list(faults(entry)) == ["lead"]


def test_cells_become_fields() -> None:
    header = "email,verticals,test, city ,additionalData.source,utm,additionalData.a.b"
    rows = ["a@b.co,solar|wind,true,Bonn,web,x,1", "c@d.co,solar,false,,,,", "e@f.co,,maybe,,,,,,", "g@h.co"]
    assert of_csv("\r\n".join([header, *rows])) == [
        {
            "email": "a@b.co",
            "verticals": ["solar", "wind"],
            "test": True,
            "city": "Bonn",
            "utm": "x",
            "additionalData": {"source": "web", "a.b": "1"},
        },
        {"email": "c@d.co", "verticals": ["solar"], "test": False},
        {"email": "e@f.co", "test": "maybe"},
        {"email": "g@h.co"},
    ]


def test_a_csv_may_begin_with_a_byte_order_mark_and_have_empty_lines() -> None:
    assert of_csv(b"\xef\xbb\xbfemail\n\na@b.co\n\n") == [{"email": "a@b.co"}]


def test_a_row_that_does_not_fit_the_header_is_that_rows_fault_only() -> None:
    good, long, nul = of_csv("email,city\na@b.co,Bonn\nc@d.co,Bonn,Rhein\ne@f.co,\0\n")
    assert good == {"email": "a@b.co", "city": "Bonn"}
    assert faults(long) == {"lead": ["The row has 3 cells, and the header 2"]}
    assert faults(nul) == {"city": ["This value has a NUL character"]}


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "no header"),
        (b"\n\n", "no header"),
        (b",,\n", "no header"),
        (b"email,,city\n", "Column 2"),
        (b"email,city,email\n", "'email'"),
        (b'email\n"a@b.co\n', "Malformed CSV"),
        (b'email\n"a"b\n', "Malformed CSV"),
        (b"email\n" + b"x" * 200_000, "Malformed CSV"),
        (b"email\n\xff\n", "not UTF-8"),
    ],
)
def test_a_csv_that_cannot_be_read_is_a_fault_of_the_batch(body: bytes, fault: str) -> None:
    with pytest.raises(Unreadable, match=fault):
        of_csv(body)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@given(st.lists(texts.filter(lambda text: text not in ("true", "false")), min_size=1, max_size=5))
def test_whatever_stands_in_a_cell_comes_out_as_it_was(cells: list[str]) -> None:
    names = [f"column{number}" for number in range(len(cells))]
    assert of_csv(as_csv([names, cells], quoting=csv.QUOTE_ALL)) == [dict(zip(names, cells, strict=True))]

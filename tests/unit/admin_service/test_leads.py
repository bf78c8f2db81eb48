"""What the views of leads take and answer; tests/integration has what they find on each database."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, event

from shared.messages import Lead
from shared.times import format_time
from tests.factories import NOON, make_batch, make_lead, make_writer
from tests.unit.conftest import signed_in_as

STORED_AT = NOON + timedelta(minutes=5)


def store(engine: Engine, *leads: Lead) -> None:
    """Writes leads the way the consumer does."""
    make_writer(engine, now=lambda: STORED_AT).write([(make_batch(list(leads)), 0)])


@pytest.fixture
def mine(admin_app: Flask, partner: int) -> dict[str, str]:
    """The partner's credentials."""
    return signed_in_as(admin_app, partner)


@pytest.fixture
def theirs(admin_app: Flask, other_partner: int) -> dict[str, str]:
    """The other partner's."""
    return signed_in_as(admin_app, other_partner)


@pytest.fixture
def admins(admin_app: Flask, administrator: int) -> dict[str, str]:
    """The admin's."""
    return signed_in_as(admin_app, administrator)


def page(client: FlaskClient, headers: dict[str, str], query: str = "") -> dict[str, Any]:
    response = client.get(f"/api/leads{query}", headers=headers)
    assert response.status_code == 200
    data: dict[str, Any] = response.get_json()["data"]
    return data


def test_a_lead_reads_back_as_it_was_sent(
    admin: FlaskClient, mine: dict[str, str], sqlite_engine: Engine, partner: int
) -> None:
    lead = make_lead(
        client_id=partner,
        city="Zürich",
        zipCode="8001",
        provinceCode="ZH",
        countryCode="CH",
        verticals=["solar"],
        clientReference="ref-1",
        test=True,
        additionalData={"b": 1.0, "a": [None, "😀"]},
    )
    store(sqlite_engine, lead)
    response = admin.get(f"/api/leads/{lead.id}", headers=mine)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "private, no-cache"
    body = response.get_json()
    data = body.pop("data")
    assert body == {"status": "success", "code": 200, "message": "Lead"}
    assert data == lead.content | {
        "id": str(lead.id),
        "status": "stored",
        "duplicateOf": None,
        "clientId": partner,
        "requestId": lead.request_id,
        "createdAt": format_time(lead.received_at),
        "storedAt": format_time(STORED_AT),
    }
    assert list(data["additionalData"]) == ["b", "a"]


def test_fields_that_were_not_sent_read_back_as_null(
    admin: FlaskClient, mine: dict[str, str], sqlite_engine: Engine, partner: int
) -> None:
    lead = make_lead(client_id=partner, additionalData=None)
    store(sqlite_engine, lead)
    data = admin.get(f"/api/leads/{lead.id}", headers=mine).get_json()["data"]
    optional = (
        "city",
        "zipCode",
        "provinceCode",
        "countryCode",
        "verticals",
        "clientReference",
        "additionalData",
    )
    assert {data[name] for name in optional} == {None}
    assert data["test"] is False


def test_a_partner_sees_only_its_own_leads(
    admin: FlaskClient, mine: dict[str, str], sqlite_engine: Engine, partner: int, other_partner: int
) -> None:
    own, foreign = make_lead(client_id=partner), make_lead(client_id=other_partner)
    store(sqlite_engine, own, foreign)
    data = page(admin, mine)
    assert [item["id"] for item in data["items"]] == [str(own.id)]
    assert data["pagination"]["total"] == 1
    assert "clientEmail" not in data["items"][0]
    hidden = admin.get(f"/api/leads/{foreign.id}", headers=mine)
    missing = admin.get(f"/api/leads/{uuid4()}", headers=mine)
    assert hidden.status_code == missing.status_code == 404
    assert (
        hidden.get_json()
        == missing.get_json()
        == {"status": "error", "code": 404, "message": "Lead not found"}
    )


def test_an_admin_sees_all_leads_and_who_sent_them(
    admin: FlaskClient, admins: dict[str, str], sqlite_engine: Engine, partner: int, other_partner: int
) -> None:
    own, foreign = make_lead(client_id=partner), make_lead(client_id=other_partner)
    store(sqlite_engine, own, foreign)
    data = page(admin, admins)
    senders = {item["id"]: item["clientEmail"] for item in data["items"]}
    assert senders == {str(own.id): "partner@example.com", str(foreign.id): "other@example.com"}
    assert data["pagination"]["total"] == 2
    one = admin.get(f"/api/leads/{own.id}", headers=admins).get_json()["data"]
    assert one["clientEmail"] == "partner@example.com"


def test_a_page_says_which_one_of_how_many_it_is(
    admin: FlaskClient, mine: dict[str, str], sqlite_engine: Engine, partner: int
) -> None:
    store(sqlite_engine, *[make_lead(client_id=partner) for _ in range(5)])
    pagination = page(admin, mine, "?page=2&limit=2")["pagination"]
    assert isinstance(pagination.pop("nextCursor"), str)
    assert pagination == {"page": 2, "limit": 2, "total": 5, "totalIsExact": True, "total_pages": 3}
    assert len(page(admin, mine, "?page=3&limit=2")["items"]) == 1
    assert page(admin, mine, "?page=4&limit=2")["items"] == []


def test_no_leads_make_no_pages(admin: FlaskClient, mine: dict[str, str]) -> None:
    pagination = {"page": 1, "limit": 10, "total": 0, "totalIsExact": True, "total_pages": 0}
    assert page(admin, mine) == {"items": [], "pagination": pagination | {"nextCursor": None}}


def test_the_newest_come_first_unless_asked_otherwise(
    admin: FlaskClient, mine: dict[str, str], sqlite_engine: Engine, partner: int
) -> None:
    leads = [make_lead(client_id=partner) for _ in range(3)]
    store(sqlite_engine, *leads)
    oldest_first = [str(lead.id) for lead in leads]
    assert [item["id"] for item in page(admin, mine)["items"]] == oldest_first[::-1]
    for order in ("ASC", "asc"):
        assert [item["id"] for item in page(admin, mine, f"?sortOrder={order}")["items"]] == oldest_first


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=x", "page"),
        ("page=1.5", "page"),
        ("page=", "page"),
        ("page=1000000001", "page"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("sortBy=phone", "sortBy"),
        ("sortBy=", "sortBy"),
        ("sortBy=createdat", "sortBy"),
        ("sortBy=received_at;drop", "sortBy"),
        ("sortOrder=up", "sortOrder"),
        ("sortOrder=", "sortOrder"),
        ("other=1", "other"),
        ("page=1&page=2", "page"),
        ("email=", "email"),
        (f"email={'a' * 256}", "email"),
        ("phone=", "phone"),
        ("status=quarantined", "status"),
        ("clientId=1", "clientId"),
        ("test=yes", "test"),
        ("from=yesterday", "from"),
        ("from=2026-02-30", "from"),
        ("to=2026-06-01T12:00:00", "to"),
        ("to=2026-06-01 12:00:00Z", "to"),
        ("from=2026-06-02&to=2026-06-01", "to"),
        ("cursor=", "cursor"),
        ("cursor=abc", "cursor"),
        ("cursor=ä", "cursor"),
        (f"cursor={'A' * 60}", "cursor"),
        (f"cursor={'A' * 2049}", "cursor"),
    ],
)
def test_a_bad_parameter_is_named(admin: FlaskClient, mine: dict[str, str], query: str, field: str) -> None:
    response = admin.get(f"/api/leads?{query}", headers=mine)
    assert response.status_code == 400
    body = response.get_json()
    assert body["message"] == "Validation failed"
    assert list(body["errors"]) == [field]


@pytest.mark.parametrize("query", ["limit=100", "limit=1", "page=1000000000&limit=100", "sortBy=storedAt"])
def test_parameters_are_taken_up_to_their_ends(admin: FlaskClient, mine: dict[str, str], query: str) -> None:
    assert page(admin, mine, f"?{query}")["items"] == []


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "none",
        "0190-0000",
        "{01907b3e-7e4a-7000-8000-000000000000}",
        "01907b3e7e4a70008000000000000000",
        "urn:uuid:01907b3e-7e4a-7000-8000-000000000000",
        "01907b3e-7e4a-7000-8000-00000000000g",
    ],
)
def test_what_is_no_id_names_no_lead(admin: FlaskClient, mine: dict[str, str], text: str) -> None:
    response = admin.get(f"/api/leads/{text}", headers=mine)
    assert (response.status_code, response.get_json()["message"]) == (404, "Lead not found")


def test_an_id_may_be_written_in_capitals(
    admin: FlaskClient, mine: dict[str, str], sqlite_engine: Engine, partner: int
) -> None:
    lead = make_lead(client_id=partner)
    store(sqlite_engine, lead)
    assert admin.get(f"/api/leads/{str(lead.id).upper()}", headers=mine).status_code == 200


def test_a_lead_can_be_waited_for(
    admin: FlaskClient, mine: dict[str, str], sqlite_engine: Engine, partner: int
) -> None:
    lead = make_lead(client_id=partner)
    looked = threading.Event()
    event.listen(sqlite_engine, "after_cursor_execute", lambda *_: looked.set())
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(admin.get, f"/api/leads/{lead.id}?wait=10", headers=mine)
        assert looked.wait(10)
        assert not answer.done()
        store(sqlite_engine, lead)
        assert answer.result().get_json()["data"]["id"] == str(lead.id)


def test_waiting_ends(admin: FlaskClient, mine: dict[str, str]) -> None:
    assert admin.get(f"/api/leads/{uuid4()}?wait=0.1", headers=mine).status_code == 404


@pytest.mark.parametrize("wait", ["-1", "11", "x", "nan", "inf", ""])
def test_a_wait_has_0_to_10_seconds(admin: FlaskClient, mine: dict[str, str], wait: str) -> None:
    response = admin.get(f"/api/leads/{uuid4()}?wait={wait}", headers=mine)
    assert response.status_code == 400
    assert list(response.get_json()["errors"]) == ["wait"]


@pytest.mark.parametrize("path", ["/api/leads", "/api/leads/01907b3e-7e4a-7000-8000-000000000000"])
def test_nobody_reads_without_signing_in(admin: FlaskClient, path: str) -> None:
    response = admin.get(path)
    assert (response.status_code, response.get_json()["message"]) == (401, "JWT Token not found")


def test_each_partner_has_its_own_total(
    admin: FlaskClient, mine: dict[str, str], theirs: dict[str, str], sqlite_engine: Engine, partner: int
) -> None:
    store(sqlite_engine, *[make_lead(client_id=partner) for _ in range(3)])
    assert page(admin, mine)["pagination"]["total"] == 3
    assert page(admin, theirs)["pagination"]["total"] == 0


def test_it_is_ready_while_the_database_can_be_read(admin: FlaskClient, sqlite_engine: Engine) -> None:
    assert admin.get("/readyz").status_code == 200
    assert admin.get("/livez").status_code == 200


def test_without_tables_it_is_alive_but_not_ready(admin: FlaskClient, sqlite_engine: Engine) -> None:
    with sqlite_engine.execution_options(writing=True).begin() as connection:
        connection.exec_driver_sql("ALTER TABLE identity_version RENAME TO away")
    try:
        response = admin.get("/readyz")
        assert response.status_code == 503
        assert "db upgrade" in response.get_json()["message"]
        assert admin.get("/livez").status_code == 200
    finally:
        with sqlite_engine.execution_options(writing=True).begin() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO identity_version")

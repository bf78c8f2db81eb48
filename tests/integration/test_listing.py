"""Reading leads back through the admin service, from every kind of database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from admin_service import create_app
from shared.identity import ROLE_ADMIN
from shared.keys import KeyRing
from shared.messages import Lead
from shared.settings import Settings
from shared.times import format_time
from tests.factories import NOON, make_api_key, make_batch, make_lead, make_user, make_writer


@dataclass
class Caller:
    """A user of the admin service."""

    id: int
    client: FlaskClient
    api_key: str

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        """The JSON of the answer, which must have that status."""
        answer = self.client.get(path, query_string=query, headers={"X-AUTH-Token": self.api_key})
        assert answer.status_code == status, answer.text
        return answer.json

    def page(self, **query: Any) -> tuple[list[str], dict[str, Any]]:
        """The ids on a page, and what is said of all pages."""
        data = self.get("/api/leads", **query)["data"]
        return [item["id"] for item in data["items"]], data["pagination"]


@pytest.fixture
def caller(engine: Engine, keys: KeyRing, tmp_path: Path) -> Callable[..., Caller]:
    """Makes a user who can call the service."""
    app = create_app(Settings(data_dir=tmp_path, rate_limit_per_minute=10**6), engine=engine, keys=keys)

    def make(email: str, *roles: str) -> Caller:
        user_id = make_user(engine, email, roles=roles or ("ROLE_API_CLIENT",))
        return Caller(user_id, app.test_client(), make_api_key(engine, user_id))

    return make


@pytest.fixture
def partner(caller: Callable[..., Caller]) -> Caller:
    return caller("partner@example.com")


@pytest.fixture
def admin(caller: Callable[..., Caller]) -> Caller:
    return caller("admin@example.com", ROLE_ADMIN)


def store(engine: Engine, *leads: Lead) -> list[str]:
    """Stores the leads and returns their ids."""
    make_writer(engine).write([(make_batch(list(leads)), 0)])
    return [str(lead.id) for lead in leads]


def test_pages_have_each_lead_once_the_newest_first(engine: Engine, partner: Caller) -> None:
    ids = store(engine, *(make_lead(client_id=partner.id) for _ in range(25)))

    pages = [partner.page(page=number, limit=10) for number in (1, 2, 3, 4)]

    assert [len(page) for page, _ in pages] == [10, 10, 5, 0]
    assert [id for page, _ in pages for id in page] == ids[::-1]
    assert [said.pop("nextCursor") is None for _, said in pages] == [False, False, True, True]
    assert [said for _, said in pages] == [
        {"page": number, "limit": 10, "total": 25, "totalIsExact": True, "total_pages": 3}
        for number in (1, 2, 3, 4)
    ]


def test_ten_leads_are_a_page_unless_asked_otherwise(engine: Engine, partner: Caller) -> None:
    store(engine, *(make_lead(client_id=partner.id) for _ in range(11)))

    ids, said = partner.page()

    assert len(ids) == 10
    assert (said["page"], said["limit"], said["total"], said["total_pages"]) == (1, 10, 11, 2)


def test_leads_received_in_the_same_microsecond_have_one_order_on_all_pages(
    engine: Engine, partner: Caller
) -> None:
    leads = [make_lead(client_id=partner.id, received_at=NOON, firstName="Same") for _ in range(9)]
    make_writer(engine, lambda: NOON).write([(make_batch(leads), 0)])
    in_order = sorted(str(lead.id) for lead in leads)

    for sort_by in ("createdAt", "storedAt", "firstName"):
        pages = [partner.page(page=n, limit=3, sortBy=sort_by, sortOrder="asc")[0] for n in (1, 2, 3)]
        assert [id for page in pages for id in page] == in_order


def test_a_partner_sees_its_own_leads_and_an_admin_all(
    engine: Engine, caller: Callable[..., Caller], partner: Caller, admin: Caller
) -> None:
    other = caller("other@example.com")
    (own,) = store(engine, make_lead(client_id=partner.id))
    others = store(engine, *(make_lead(client_id=other.id) for _ in range(2)))

    assert partner.page()[0] == [own]
    assert partner.page()[1]["total"] == 1
    assert sorted(other.page()[0]) == sorted(others)
    assert sorted(admin.page()[0]) == sorted([own, *others])
    assert admin.page()[1]["total"] == 3
    assert partner.get(f"/api/leads/{own}")["data"]["id"] == own
    assert partner.get(f"/api/leads/{others[0]}", 404)["message"] == "Lead not found"
    assert admin.get(f"/api/leads/{others[0]}")["data"]["id"] == others[0]


def test_only_an_admin_is_told_whose_lead_it_is(engine: Engine, partner: Caller, admin: Caller) -> None:
    (id,) = store(engine, make_lead(client_id=partner.id))

    assert admin.get(f"/api/leads/{id}")["data"]["clientEmail"] == "partner@example.com"
    assert admin.get("/api/leads")["data"]["items"][0]["clientEmail"] == "partner@example.com"
    assert "clientEmail" not in partner.get(f"/api/leads/{id}")["data"]
    assert "clientEmail" not in partner.get("/api/leads")["data"]["items"][0]


def test_the_total_counts_stored_leads_and_no_quarantined_ones(engine: Engine, partner: Caller) -> None:
    store(engine, make_lead(client_id=partner.id), make_lead(client_id=partner.id, dateOfBirth="never"))

    ids, said = partner.page()

    assert (len(ids), said["total"]) == (1, 1)


def test_a_lead_says_when_it_was_accepted_and_stored_and_by_which_request(
    engine: Engine, partner: Caller
) -> None:
    lead = make_lead(client_id=partner.id, test=True)
    make_writer(engine, lambda: NOON + timedelta(hours=2)).write([(make_batch([lead]), 0)])

    found = partner.get(f"/api/leads/{lead.id}")["data"]

    assert found["createdAt"] == format_time(lead.received_at)
    assert found["storedAt"] == "2026-06-01T14:00:00.000000Z"
    assert found["requestId"] == lead.request_id
    assert (found["status"], found["duplicateOf"], found["test"]) == ("stored", None, True)
    assert found["clientId"] == partner.id


@pytest.mark.parametrize(
    ("query", "at_fault"),
    [
        ({"page": "0"}, {"page"}),
        ({"page": "x"}, {"page"}),
        ({"limit": "0"}, {"limit"}),
        ({"limit": "101"}, {"limit"}),
        ({"limit": "1.5"}, {"limit"}),
        ({"sortBy": "phone"}, {"sortBy"}),
        ({"sortOrder": "UP"}, {"sortOrder"}),
        ({"colour": "blue"}, {"colour"}),
        ({"page": "-1", "limit": "", "sortBy": "id"}, {"page", "limit", "sortBy"}),
    ],
)
def test_a_bad_parameter_is_named(
    sqlite_engine: Engine, keys: KeyRing, tmp_path: Path, query: dict[str, str], at_fault: set[str]
) -> None:
    app = create_app(Settings(data_dir=tmp_path), engine=sqlite_engine, keys=keys)
    user_id = make_user(sqlite_engine)
    partner = Caller(user_id, app.test_client(), make_api_key(sqlite_engine, user_id))

    refused = partner.get("/api/leads", 400, **query)

    assert refused["status"] == "error"
    assert set(refused["errors"]) == at_fault


@pytest.mark.parametrize("wait", ["-1", "10.1", "nan", "soon"])
def test_a_wait_that_is_no_time_is_named(engine: Engine, partner: Caller, wait: str) -> None:
    assert set(partner.get(f"/api/leads/{uuid4()}", 400, wait=wait)["errors"]) == {"wait"}


def test_waiting_ends_as_soon_as_the_lead_is_stored(engine: Engine, partner: Caller) -> None:
    lead = make_lead(client_id=partner.id)
    storing = threading.Timer(0.3, store, args=[engine, lead])
    began = time.monotonic()
    storing.start()
    try:
        found = partner.get(f"/api/leads/{lead.id}", wait=10)
    finally:
        storing.join()

    assert found["data"]["email"] == lead.content["email"]
    assert time.monotonic() - began < 8


def test_waiting_for_what_never_comes_ends_in_time(engine: Engine, partner: Caller) -> None:
    began = time.monotonic()

    partner.get(f"/api/leads/{uuid4()}", 404, wait=0.5)

    assert 0.5 <= time.monotonic() - began < 5


def test_waiting_for_another_partners_lead_ends_in_not_found(
    engine: Engine, caller: Callable[..., Caller], partner: Caller
) -> None:
    (id,) = store(engine, make_lead(client_id=caller("other@example.com").id))

    partner.get(f"/api/leads/{id}", 404, wait=0.2)

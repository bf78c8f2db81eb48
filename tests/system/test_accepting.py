"""A lead that is accepted can be read back as it was sent, by those who may see it."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from tests.system.client import Answer, new_lead
from tests.system.posting import accepted_ids, post_at_once
from tests.system.running import ADMIN, PARTNER, System

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
EVERY_FIELD = {
    "firstName": "Иван 😀",
    "lastName": "O'Brien-Ñandú",
    "phone": "+4915112345678",
    "dateOfBirth": "1984-02-29",
    "city": "Århus",
    "zipCode": "08001-B",
    "provinceCode": "BA",
    "countryCode": "ES",
    "verticals": ["solar", "wärme", ""],
    "clientReference": "order 7/Ω",
    "test": True,
    "additionalData": {
        "source": "webinar",
        "nothing": None,
        "numbers": [0, -1, 0.1, 1e-7, 2**63 - 1, -(2**63)],
        "nested": {"list": [{"deep": [True, False]}], "text": 'quotes " and \\ and \u2028'},
    },
}
OPTIONAL = EVERY_FIELD.keys() - {"firstName", "lastName", "phone", "dateOfBirth", "test"}


@pytest.fixture
def accepted(system: System) -> Answer:
    with system.client() as partner:
        return partner.post_lead()


def test_an_accepted_lead_is_answered_with_all_that_a_partner_needs(system: System, accepted: Answer) -> None:
    assert accepted.status == 201, accepted.body
    assert set(accepted.json) == {"status", "code", "message", "data"}
    assert (accepted.json["status"], accepted.json["code"]) == ("success", 201)
    data = accepted.data
    assert set(data) == {"id", "status", "durability", "receivedAt"}
    assert data["status"] == "queued"
    assert data["durability"] == ("broker" if "AMQP_URL" in system.environment else "embedded")
    assert accepted.headers["Location"] == f"/api/leads/{data['id']}"
    assert accepted.headers["X-Request-ID"]
    assert accepted.headers["Content-Type"] == "application/json"


def test_an_id_is_a_uuid_of_version_7_made_when_the_lead_was_received(accepted: Answer) -> None:
    lead_id, received_at = accepted.data["id"], accepted.data["receivedAt"]
    assert TIME.fullmatch(received_at)
    assert str(UUID(lead_id)) == lead_id
    assert UUID(lead_id).version == 7
    made_at = datetime.fromisoformat("1970-01-01T00:00:00Z") + timedelta(milliseconds=UUID(lead_id).int >> 80)
    assert abs(made_at - datetime.fromisoformat(received_at)) < timedelta(seconds=1)


@pytest.mark.parametrize("fields", [{}, EVERY_FIELD], ids=["only what it must have", "every field"])
def test_a_lead_reads_back_as_it_was_sent(system: System, fields: dict[str, object]) -> None:
    sent = new_lead(**fields)
    with system.client() as partner:
        answer = partner.ask("POST", "/api/leads", sent)
        lead = partner.wait_for_lead(answer.data["id"])
    assert lead["id"] == answer.data["id"]
    assert {name: lead[name] for name in sent} == sent
    assert all(lead[name] is None for name in OPTIONAL - sent.keys())
    assert lead["test"] is sent.get("test", False)
    assert (lead["status"], lead["duplicateOf"]) == ("stored", None)
    assert lead["requestId"] == answer.headers["X-Request-ID"]
    assert lead["createdAt"] == answer.data["receivedAt"]
    assert TIME.fullmatch(lead["storedAt"])
    assert lead["storedAt"] >= lead["createdAt"]


def test_a_request_id_of_the_client_stays_with_its_lead(system: System) -> None:
    with system.client() as partner:
        answer = partner.ask("POST", "/api/leads", new_lead(), {"X-Request-ID": "order-7.of_ours"})
        assert answer.headers["X-Request-ID"] == "order-7.of_ours"
        assert partner.wait_for_lead(answer.data["id"])["requestId"] == "order-7.of_ours"


def test_the_list_shows_leads_as_they_read_back_the_newest_first(system: System) -> None:
    with system.client(system.other_partner()) as partner:
        before = partner.total()
        ids = [partner.post_lead().data["id"] for _ in range(3)]
        leads = [partner.wait_for_lead(lead_id) for lead_id in reversed(ids)]
        answer = partner.ask("GET", "/api/leads?limit=3")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.data["items"] == leads
    total = before + 3
    pagination = {name: answer.data["pagination"][name] for name in ("page", "limit", "total", "total_pages")}
    assert pagination == {"page": 1, "limit": 3, "total": total, "total_pages": -(-total // 3)}


def test_a_partner_sees_no_lead_of_another(system: System, accepted: Answer) -> None:
    with system.client(system.other_partner()) as other, system.client() as owner:
        own = other.post_lead().data["id"]
        other.wait_for_lead(own)
        owner.wait_for_lead(accepted.data["id"])
        listed = other.listed_ids()
        assert own in listed
        assert accepted.data["id"] not in listed
        assert other.total() == len(listed)
        assert other.ask("GET", f"/api/leads/{accepted.data['id']}").status == 404
        assert owner.ask("GET", f"/api/leads/{own}").status == 404


def test_an_admin_sees_every_lead_and_who_sent_it(system: System, accepted: Answer) -> None:
    email = system.other_partner()
    with system.client(email) as other, system.client(ADMIN) as admin:
        own = other.post_lead().data["id"]
        assert admin.wait_for_lead(own)["clientEmail"] == email
        assert admin.wait_for_lead(accepted.data["id"])["clientEmail"] == PARTNER
        newest = admin.ask("GET", "/api/leads?limit=100").data["items"]
    emails = {lead["id"]: lead["clientEmail"] for lead in newest}
    assert emails[own] == email
    assert emails[accepted.data["id"]] == PARTNER


def test_leads_posted_at_once_are_each_listed_once(system: System) -> None:
    email = system.other_partner()
    with system.client(email) as partner:
        before = partner.listed_ids()
        answers = post_at_once(system.port, system.token(email), connections=8, leads_each=200)
        assert Counter(answer.status for answer in answers) == {201: 1600}
        partner.wait_for_total(len(before) + 1600)
        assert sorted(partner.listed_ids()) == sorted(before + accepted_ids(answers))
        assert partner.total() == len(before) + 1600

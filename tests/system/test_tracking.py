"""The first seed's way to post a lead, and what both ways do with `dryRun`, `strict` and unknown fields."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.system.client import new_lead
from tests.system.running import System


def tracked_lead(**changes: Any) -> dict[str, Any]:
    """What the first seed's clients must send, and `changes`."""
    return {"email": f"ivan.{uuid.uuid4().hex}@example.com", "verticals": ["solar", "wind"]} | changes


@pytest.mark.parametrize("path", ["/api/tracking/", "/api/tracking"])
def test_a_lead_of_the_first_seed_reads_back_under_the_names_of_the_second(system: System, path: str) -> None:
    with system.client() as partner:
        sent = tracked_lead(firstName="Иван", phone="0151 / 123", dob="1984-02-29", extraData={"a": [1]})
        answer = partner.ask("POST", path, sent)
        assert answer.status == 201, answer.body
        id = answer.json["id"]
        saved = {"status": "Ok", "message": "Data has been successfully saved", "id": id}
        assert answer.json == saved
        lead = partner.wait_for_lead(id)
    expected = {"dateOfBirth": sent.pop("dob"), "additionalData": sent.pop("extraData"), **sent}
    assert {name: lead[name] for name in expected} == expected
    assert (lead["lastName"], lead["status"]) == (None, "stored")


def test_a_lead_of_the_first_seed_that_will_not_do_is_refused_in_its_words(system: System) -> None:
    with system.client() as partner:
        answer = partner.ask("POST", "/api/tracking/", tracked_lead(verticals=[]))
    assert answer.status == 400
    assert answer.json["status"] == "Invalid"
    assert answer.json["message"] == "This value `verticals` should not be blank."


@pytest.mark.parametrize(
    ("path", "body"), [("/api/leads", new_lead), ("/api/tracking/", tracked_lead)], ids=["leads", "tracking"]
)
def test_a_lead_may_be_tried_first(system: System, path: str, body: Any) -> None:
    email = f"tried.{uuid.uuid4().hex}@example.com"
    with system.client() as partner:
        dry = partner.ask("POST", f"{path}?dryRun=true", body(email=email, utm="x"))
        strict = partner.ask("POST", f"{path}?dryRun=true&strict=true", body(email=email, utm="x"))
        unclear = partner.ask("POST", f"{path}?dryRun=perhaps", body(email=email))
        real = partner.ask("POST", path, body(email=email, utm="x"))
        accepted = real.json.get("data", real.json)
        lead = partner.wait_for_lead(accepted["id"])
    assert (dry.status, strict.status, unclear.status, real.status) == (200, 400, 400, 201)
    tried = dry.json.get("data", dry.json)
    assert tried.keys() == accepted.keys()
    assert (tried["status"], tried["id"], tried["warnings"]) == ("valid", None, accepted["warnings"])
    assert set(strict.json["errors"]) == {"utm"}
    assert set(unclear.json["errors"]) == {"dryRun"}
    # What was only tried was not stored: the email is new.
    assert (lead["status"], lead["additionalData"]) == ("stored", {"utm": "x"})

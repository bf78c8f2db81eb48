"""A later lead of the same partner and email is a duplicate of the first."""

from __future__ import annotations

import uuid

from tests.system.running import System


def test_a_second_lead_of_an_email_is_marked_for_its_partner_alone(system: System) -> None:
    name = uuid.uuid4().hex
    with system.client() as partner, system.client(system.other_partner()) as other:
        first = partner.wait_for_lead(partner.post_lead(email=f"{name}@example.com").data["id"])
        theirs = other.wait_for_lead(other.post_lead(email=f"{name}@example.com").data["id"])
        tracked = {"email": f"{name.upper()}@Example.com", "verticals": ["solar"]}
        later = partner.ask("POST", "/api/tracking/", tracked).json["id"]
        tried = partner.post_lead(email=f"{name}@example.com", test=True).data["id"]
        marked, test = partner.wait_for_lead(later), partner.wait_for_lead(tried)
    assert (first["status"], first["duplicateOf"]) == ("stored", None)
    assert (theirs["status"], theirs["duplicateOf"]) == ("stored", None)
    assert (marked["status"], marked["duplicateOf"]) == ("duplicate", first["id"])
    assert (test["status"], test["duplicateOf"]) == ("stored", None)


def test_a_second_lead_of_an_email_can_be_refused(own_system: System) -> None:
    own_system.environment["DUPLICATE_POLICY"] = "reject"
    own_system.start()
    with own_system.client() as partner:
        partner.wait_for_lead(partner.post_lead(email="ada@example.com").data["id"])
        refused = partner.post_lead(email="Ada@Example.com")
        tracked = {"email": "ada@example.com", "verticals": ["solar"]}
        in_seed_words = partner.ask("POST", "/api/tracking/", tracked)
        assert partner.total() == 1
        assert partner.post_lead(email="grace@example.com").status == 201
    assert (refused.status, refused.json["message"]) == (409, "Duplicate lead detected")
    assert (in_seed_words.status, in_seed_words.json["message"]) == (409, "Duplicate lead detected")
    assert in_seed_words.json["status"] == "Unprocessable"

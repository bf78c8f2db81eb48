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

"""One address serves everything; the admin service's own port serves the admin service alone."""

from __future__ import annotations

import base64
import json

from tests.system.client import Client
from tests.system.running import ADMIN, DEMO_PASSWORD, PARTNER, System


def test_leads_are_posted_and_read_at_the_one_address(system: System) -> None:
    with system.client() as partner:
        lead = partner.wait_for_lead(partner.post_lead().data["id"])
        assert lead in partner.ask("GET", "/api/leads?limit=100").data["items"]


def test_the_admin_service_reads_leads_and_takes_none(system: System) -> None:
    with system.client() as partner, system.client(port=system.admin_port) as reader:
        lead_id = partner.post_lead().data["id"]
        assert reader.wait_for_lead(lead_id)["id"] == lead_id
        assert reader.post_lead().status in (404, 405)


def test_both_show_the_same_keys(system: System) -> None:
    with Client(system.port) as one, Client(system.admin_port) as admin:
        answers = [client.ask("GET", "/.well-known/jwks.json") for client in (one, admin)]
    assert [answer.headers["Cache-Control"] for answer in answers] == ["public, max-age=3600"] * 2
    assert answers[0].json == answers[1].json
    head = system.token().split(".")[0]
    kid = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]
    assert kid in [key["kid"] for key in answers[0].json["keys"]]
    assert all(set(key) == {"kty", "use", "alg", "kid", "n", "e"} for key in answers[0].json["keys"])


def test_a_token_of_either_is_good_on_both(system: System) -> None:
    ports = (system.port, system.admin_port)
    for issuer in ports:
        with Client(issuer) as client:
            credentials = {"email": PARTNER, "password": DEMO_PASSWORD}
            login = client.ask("POST", "/api/login_check", credentials)
        assert set(login.json) == {"token", "expiresIn"}
        assert login.json["expiresIn"] == 3600
        for port in ports:
            with Client(port, login.json["token"]) as client:
                assert client.ask("GET", "/api/leads").status == 200
        with Client(system.port, login.json["token"]) as client:
            assert client.post_lead().status == 201


def test_an_admin_may_post_as_a_partner_may(system: System) -> None:
    with system.client(ADMIN) as admin:
        lead_id = admin.post_lead().data["id"]
        assert admin.wait_for_lead(lead_id)["clientEmail"] == ADMIN

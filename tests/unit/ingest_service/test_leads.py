"""`POST /api/leads`, from the request to the message and the answer."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, update
from werkzeug.test import TestResponse

from shared.database import writing
from shared.identity import identity_changed
from shared.models import app_users
from shared.times import parse_time, utc_now
from tests.factories import lead_body, make_api_key, make_user
from tests.fakes import FakeProducer
from tests.unit.conftest import signed_in_as


def post(client: FlaskClient, headers: dict[str, str], query: str = "", **changes: Any) -> TestResponse:
    return client.post(f"/api/leads{query}", json=lead_body(**changes), headers=headers)


def test_a_lead_is_accepted(ingest: FlaskClient, headers: dict[str, str]) -> None:
    response = post(ingest, headers)
    assert response.status_code == 201
    body = response.get_json()
    data = body.pop("data")
    assert body == {"status": "success", "code": 201, "message": "Lead accepted"}
    assert set(data) == {"id", "status", "durability", "receivedAt"}
    assert (data["status"], data["durability"]) == ("queued", "broker")
    assert UUID(data["id"]).version == 7
    assert response.headers["Location"] == f"/api/leads/{data['id']}"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", data["receivedAt"])
    assert abs(parse_time(data["receivedAt"]) - utc_now()) < timedelta(minutes=1)


def test_what_is_published_is_what_was_answered(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer, partner: int
) -> None:
    sent = lead_body(city="Zürich", verticals=["solar"], test=False, countryCode=None)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    response = ingest.post(
        "/api/leads", json=sent, headers=headers | {"X-Request-ID": "mine", "traceparent": trace}
    )
    data = response.get_json()["data"]
    ((lead,),) = [batch.leads for batch in producer.batches()]
    assert str(lead.id) == data["id"]
    assert lead.received_at == parse_time(data["receivedAt"])
    assert (lead.client_id, lead.request_id, lead.traceparent) == (partner, "mine", trace)
    assert lead.content == sent
    assert lead.key_hash is None
    assert lead.replay_of is None


def test_each_lead_has_an_id_of_its_own_and_later_ones_sort_behind(
    ingest: FlaskClient, headers: dict[str, str]
) -> None:
    ids = [post(ingest, headers).get_json()["data"]["id"] for _ in range(20)]
    assert sorted(set(ids)) == ids


def test_an_api_key_will_do(ingest: FlaskClient, sqlite_engine: Engine, partner: int) -> None:
    key = make_api_key(sqlite_engine, partner)
    assert post(ingest, {"X-AUTH-Token": key}).status_code == 201


def test_an_admin_may_post_too(ingest: FlaskClient, ingest_app: Flask, administrator: int) -> None:
    assert post(ingest, signed_in_as(ingest_app, administrator)).status_code == 201


def test_the_address_may_end_in_a_slash(ingest: FlaskClient, headers: dict[str, str]) -> None:
    assert ingest.post("/api/leads/", json=lead_body(), headers=headers).status_code == 201


def test_unknown_fields_are_kept_and_named_in_warnings(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer
) -> None:
    data = post(ingest, headers, utm="x").get_json()["data"]
    assert data["warnings"] == ["Unknown field `utm` is kept under additionalData"]
    assert producer.batches()[0].leads[0].content["additionalData"] == {"source": "tests", "utm": "x"}


def test_unknown_fields_are_refused_if_the_partner_wants_it_strict(
    ingest: FlaskClient, headers: dict[str, str]
) -> None:
    response = post(ingest, headers, "?strict=true", utm="x")
    assert response.status_code == 400
    assert response.get_json()["errors"] == {"utm": ["Unknown field."]}
    assert post(ingest, headers, "?strict=false", utm="x").status_code == 201


def test_a_bad_lead_is_refused_and_its_fields_are_named(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer
) -> None:
    response = post(ingest, headers, email="x", phone="x", verticals=["a", 1])
    assert response.status_code == 400
    assert response.get_json() == {
        "status": "error",
        "code": 400,
        "message": "Validation failed",
        "errors": {
            "email": ["This value is not a valid email address"],
            "phone": [r"This value should match pattern: /^\+?[1-9]\d{1,14}$/"],
            "verticals.1": ["Not a valid string."],
        },
    }
    assert producer.bodies == []


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"email":"a@b.co","email":"c@d.co"}', "application/json", 400),
        (b"{}", "text/plain", 415),
        (b'{"a":"' + b"x" * 1024 * 1024 + b'"}', "application/json", 413),
    ],
    ids=["malformed", "no object", "duplicate key", "no JSON", "over 1 MiB"],
)
def test_a_body_that_cannot_be_read_is_refused(
    ingest: FlaskClient,
    headers: dict[str, str],
    producer: FakeProducer,
    body: bytes,
    content_type: str,
    code: int,
) -> None:
    response = ingest.post("/api/leads", data=body, content_type=content_type, headers=headers)
    assert response.status_code == code
    answer = response.get_json()
    assert set(answer) == {"status", "code", "message"}
    assert (answer["status"], answer["code"]) == ("error", code)
    assert producer.bodies == []


def test_nobody_posts_without_signing_in(ingest: FlaskClient, producer: FakeProducer) -> None:
    response = post(ingest, {})
    assert response.status_code == 401
    assert response.get_json()["message"] == "JWT Token not found"
    assert producer.bodies == []


def test_nobody_posts_without_the_role(ingest: FlaskClient, ingest_app: Flask, sqlite_engine: Engine) -> None:
    nobody = make_user(sqlite_engine, "nobody@example.com", roles=())
    response = post(ingest, signed_in_as(ingest_app, nobody))
    assert (response.status_code, response.get_json()["message"]) == (403, "Access denied")


def test_who_is_calling_matters_more_than_what_is_sent(ingest: FlaskClient) -> None:
    assert ingest.post("/api/leads", data=b"{", content_type="text/plain").status_code == 401


def test_a_lead_that_is_not_confirmed_is_not_accepted(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer
) -> None:
    producer.refuse = "the queue has no disk left at /srv/queue"
    response = post(ingest, headers)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert "Location" not in response.headers
    assert response.get_json() == {
        "status": "error",
        "code": 503,
        "message": "The lead could not be stored safely; send it again",
    }
    producer.refuse = None
    assert post(ingest, headers).status_code == 201


def test_a_users_own_limit_holds(
    ingest: FlaskClient, ingest_app: Flask, sqlite_engine: Engine, partner: int, other_partner: int
) -> None:
    with writing(sqlite_engine).begin() as connection:
        connection.execute(update(app_users).where(app_users.c.id == partner).values(rate_limit_per_minute=2))
        identity_changed(connection)
    mine, theirs = signed_in_as(ingest_app, partner), signed_in_as(ingest_app, other_partner)
    first = post(ingest, mine)
    assert first.headers["X-RateLimit-Limit"] == "2"
    assert first.headers["RateLimit-Policy"] == '"client";q=2;w=60'
    assert post(ingest, mine, email="bad").status_code == 400  # counts too
    refused = post(ingest, mine)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == str(refused.get_json()["retry_after"])
    other = post(ingest, theirs)
    assert (other.status_code, other.headers["X-RateLimit-Remaining"]) == (201, "999")


def test_every_answer_has_the_clients_request_id(ingest: FlaskClient, headers: dict[str, str]) -> None:
    for credentials in (headers, {}):
        response = post(ingest, credentials | {"X-Request-ID": "mine"})
        assert response.headers["X-Request-ID"] == "mine"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_leads_are_only_posted_here(ingest: FlaskClient, headers: dict[str, str], method: str) -> None:
    response = ingest.open("/api/leads", method=method, headers=headers)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


def test_it_is_alive_whatever_else_is_not(ingest: FlaskClient, producer: FakeProducer) -> None:
    producer.refuse = "gone"
    assert ingest.get("/livez").get_json() == {"status": "ok"}


def test_it_is_ready_while_a_lead_could_be_made_durable(
    ingest: FlaskClient, ingest_app: Flask, producer: FakeProducer, partner: int
) -> None:
    not_loaded = ingest.get("/readyz")
    assert (not_loaded.status_code, not_loaded.headers["Retry-After"]) == (503, "1")
    assert "users" in not_loaded.get_json()["message"]
    signed_in_as(ingest_app, partner)  # reads the users
    assert ingest.get("/readyz").status_code == 200
    producer.refuse = "gone"
    refused = ingest.get("/readyz")
    assert (refused.status_code, refused.get_json()["message"]) == (503, "the queue cannot be reached")

"""`POST /api/tracking/`, the first seed's route, from the request to the message and the answer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from tests.factories import make_api_key, make_user, tracking_body
from tests.fakes import FakeProducer
from tests.unit.conftest import signed_in_as


def post(client: FlaskClient, headers: dict[str, str], query: str = "", **changes: Any) -> TestResponse:
    return client.post(f"/api/tracking/{query}", json=tracking_body(**changes), headers=headers)


def test_a_lead_is_accepted_in_the_words_of_the_seed(
    ingest: FlaskClient, sqlite_engine: Engine, partner: int
) -> None:
    response = post(ingest, {"X-AUTH-Token": make_api_key(sqlite_engine, partner)})
    assert response.status_code == 201
    id = response.get_json()["id"]
    assert response.get_json() == {
        "status": "Ok",
        "message": "Data has been successfully saved",
        "id": id,
    }
    assert UUID(id).version == 7


def test_the_slash_may_be_left_out(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer
) -> None:
    assert ingest.post("/api/tracking", json=tracking_body(), headers=headers).status_code == 201
    assert len(producer.batches()) == 1


def test_what_is_published_is_what_was_answered_under_the_names_of_the_other_route(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer, partner: int
) -> None:
    sent = tracking_body()
    response = ingest.post("/api/tracking/", json=sent, headers=headers | {"X-Request-ID": "mine"})
    ((lead,),) = [batch.leads for batch in producer.batches()]
    assert (str(lead.id), lead.client_id, lead.request_id) == (response.get_json()["id"], partner, "mine")
    born, extra = sent.pop("dob"), sent.pop("extraData")
    assert lead.content == sent | {"dateOfBirth": born, "additionalData": extra}


def test_unknown_fields_are_kept_and_named_in_warnings(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer
) -> None:
    body = post(ingest, headers, utm="x").get_json()
    assert body["status"] == "Ok"
    assert body["warnings"] == ["Unknown field `utm` is kept under extraData"]
    assert producer.batches()[0].leads[0].content["additionalData"] == {"source": "tests", "utm": "x"}


FAULTS = [
    ({"email": None}, "email", "This value `email` is missing."),
    ({"email": "x"}, "email", "This value `email` is not a valid email address."),
    ({"email": 1}, "email", "This value `email` should be of type string."),
    ({"verticals": None}, "verticals", "This value `verticals` is missing."),
    ({"verticals": []}, "verticals", "This value `verticals` should not be blank."),
    ({"verticals": "solar"}, "verticals", "This value `verticals` should be of type array."),
    ({"verticals": [1]}, "verticals.0", "This value `verticals.0` should be of type string."),
    ({"phone": 49}, "phone", "This value `phone` should be of type string."),
    (
        {"countryCode": "BGR"},
        "countryCode",
        "This value `countryCode` is too long, it should have 2 characters or less.",
    ),
    ({"dob": "1984"}, "dob", "This value `dob` is not a valid date (YYYY-MM-DD)."),
    ({"dob": "9999-12-31"}, "dob", "This value `dob` lies in the future."),
    ({"extraData": []}, "extraData", "This value `extraData` should be an object."),
    (
        {"long": "x" * 16384},
        "long",
        "This value `long` is not known, and with it extraData would be longer than 16384 bytes.",
    ),
    (
        {"source": 1},
        "source",
        "This value `source` is not known, and extraData has a field of that name too.",
    ),
]


@pytest.mark.parametrize(("changes", "field", "message"), FAULTS, ids=[message for *_, message in FAULTS])
def test_a_fault_is_told_in_the_words_of_the_seed(
    ingest: FlaskClient,
    headers: dict[str, str],
    producer: FakeProducer,
    changes: dict[str, Any],
    field: str,
    message: str,
) -> None:
    response = post(ingest, headers, **changes)
    assert response.status_code == 400
    body = response.get_json()
    assert (body["status"], body["code"], body["message"]) == ("Invalid", 400, message)
    assert list(body["errors"]) == [field]
    assert producer.bodies == []


def test_an_unknown_field_is_refused_if_the_partner_wants_it_strict(
    ingest: FlaskClient, headers: dict[str, str]
) -> None:
    response = post(ingest, headers, "?strict=true", utm="x")
    assert response.status_code == 400
    assert response.get_json()["message"] == "This value `utm` is not known."
    assert post(ingest, headers, "?strict=true").status_code == 201


def test_nobody_posts_without_signing_in(ingest: FlaskClient) -> None:
    response = post(ingest, {})
    assert response.status_code == 401
    body = response.get_json()
    assert (body["status"], body["message"]) == ("Unauthorized", "JWT Token not found")


def test_nobody_posts_without_the_role(ingest: FlaskClient, ingest_app: Flask, sqlite_engine: Engine) -> None:
    nobody = make_user(sqlite_engine, "nobody@example.com", roles=())
    response = post(ingest, signed_in_as(ingest_app, nobody))
    assert response.status_code == 403
    assert response.get_json()["status"] == "Unauthorized"


def test_a_lead_that_is_not_confirmed_is_not_accepted(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer
) -> None:
    producer.refuse = "gone"
    response = post(ingest, headers)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert response.get_json()["status"] == "Error"


def test_leads_are_only_posted_here(ingest: FlaskClient, headers: dict[str, str]) -> None:
    response = ingest.get("/api/tracking/", headers=headers)
    assert (response.status_code, response.get_json()["status"]) == (405, "Invalid")

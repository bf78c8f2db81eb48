"""`?dryRun=true`: a lead is looked at, and nothing becomes of it."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.factories import lead_body, tracking_body
from tests.fakes import FakeProducer

ROUTES = {"/api/leads": lead_body, "/api/tracking/": tracking_body}


@pytest.fixture(params=ROUTES)
def route(request: pytest.FixtureRequest) -> str:
    """Each route that takes one lead."""
    return str(request.param)


def post(client: FlaskClient, url: str, headers: dict[str, str], **changes: Any) -> TestResponse:
    return client.post(url, json=ROUTES[url.split("?")[0]](**changes), headers=headers)


def test_a_valid_lead_is_answered_in_the_shape_of_an_accepted_one(
    ingest: FlaskClient, headers: dict[str, str]
) -> None:
    for changes in ({}, {"utm": "x"}):
        accepted = post(ingest, "/api/leads", headers, **changes).get_json()
        dry = post(ingest, "/api/leads?dryRun=true", headers, **changes)
        assert dry.status_code == 200
        assert "Location" not in dry.headers
        nothing = {"id": None, "status": "valid", "durability": None, "receivedAt": None}
        assert dry.get_json() == accepted | {
            "code": 200,
            "message": "Lead is valid",
            "data": accepted["data"] | nothing,
        }


def test_a_valid_lead_of_the_seed_is_answered_in_the_shape_of_an_accepted_one(
    ingest: FlaskClient, headers: dict[str, str]
) -> None:
    for changes in ({}, {"utm": "x"}):
        accepted = post(ingest, "/api/tracking/", headers, **changes).get_json()
        dry = post(ingest, "/api/tracking/?dryRun=true", headers, **changes)
        assert dry.status_code == 200
        assert dry.get_json() == accepted | {"status": "valid", "message": "Data is valid", "id": None}


def test_nothing_is_queued(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer, route: str
) -> None:
    assert post(ingest, f"{route}?dryRun=true", headers).status_code == 200
    assert producer.bodies == []


def test_it_works_while_the_queue_does_not(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer, route: str
) -> None:
    producer.refuse = "gone"
    assert post(ingest, f"{route}?dryRun=true", headers).status_code == 200


def test_a_bad_lead_is_refused_as_it_would_be(
    ingest: FlaskClient, headers: dict[str, str], route: str
) -> None:
    for query, changes in (("", {"email": "x"}), ("strict=true", {"utm": "x"})):
        refused = post(ingest, f"{route}?{query}", headers, **changes)
        dry = post(ingest, f"{route}?dryRun=true&{query}", headers, **changes)
        assert (dry.status_code, dry.get_json()) == (refused.status_code, refused.get_json())
        assert dry.status_code == 400


@pytest.mark.parametrize("value", ["", "1", "True", "yes"])
@pytest.mark.parametrize("name", ["dryRun", "strict"])
def test_what_is_neither_true_nor_false_is_refused(
    ingest: FlaskClient,
    headers: dict[str, str],
    producer: FakeProducer,
    route: str,
    name: str,
    value: str,
) -> None:
    response = post(ingest, f"{route}?{name}={value}", headers)
    assert response.status_code == 400
    assert response.get_json()["errors"] == {name: ["This value should be true or false"]}
    assert producer.bodies == []


def test_false_is_as_if_it_were_not_there(
    ingest: FlaskClient, headers: dict[str, str], producer: FakeProducer, route: str
) -> None:
    assert post(ingest, f"{route}?dryRun=false", headers).status_code == 201
    assert len(producer.bodies) == 1

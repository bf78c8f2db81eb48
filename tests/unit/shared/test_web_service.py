"""Which view a request reaches, also where its path was looked up before."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from shared.web_service import _Service

ALLOWED = {"GET", "HEAD", "OPTIONS", "POST"}


@pytest.fixture
def service() -> _Service:
    service = _Service("service")
    service.url_map.strict_slashes = False
    service.add_url_rule("/leads", "post_lead", lambda: "posted", methods=["POST"])
    service.add_url_rule("/leads", "list_leads", lambda: "listed", methods=["GET"])
    service.add_url_rule("/leads/<int:number>", "lead", lambda number: f"lead {number}")
    return service


@pytest.fixture
def client(service: _Service) -> FlaskClient:
    return service.test_client()


def test_each_method_of_a_path_reaches_its_own_view_each_time(client: FlaskClient) -> None:
    for _ in range(2):
        assert client.post("/leads").text == "posted"
        assert client.get("/leads?page=2").text == "listed"
        assert client.delete("/leads").status_code == 405
        assert set(client.options("/leads").headers["Allow"].split(", ")) == ALLOWED


def test_what_is_in_a_path_reaches_the_view_each_time(client: FlaskClient) -> None:
    assert [client.get(f"/leads/{number}").text for number in (1, 2, 1)] == ["lead 1", "lead 2", "lead 1"]


def test_only_paths_that_are_routes_are_remembered(service: _Service, client: FlaskClient) -> None:
    for path in ("/leads", "/leads/", "//leads", "/leads/7", "/leads/none"):
        client.get(path)
    assert set(service.known_routes) == {("GET", "/leads")}

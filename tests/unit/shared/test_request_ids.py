"""The id under which a request is found again."""

from __future__ import annotations

import re

import pytest
from flask import Flask, g
from flask.testing import FlaskClient

from shared.errors import init_errors
from shared.request_ids import init_request_ids


@pytest.fixture
def client() -> FlaskClient:
    app = Flask("test")
    init_request_ids(app)
    init_errors(app)

    @app.get("/id")
    def show_id() -> str:
        return str(g.request_id)

    @app.get("/fault")
    def fault() -> str:
        raise RuntimeError

    return app.test_client()


@pytest.mark.parametrize(
    "sane", ["a", "9", "A-b_c.D", "x" * 64, "...", "0b7c1c9e-5d3a-4c1e-9f3d-2f6f0f6f0f6f"]
)
def test_a_sane_id_is_kept(client: FlaskClient, sane: str) -> None:
    response = client.get("/id", headers={"X-Request-ID": sane})
    assert response.text == response.headers["X-Request-ID"] == sane


@pytest.mark.parametrize(
    "insane", ["", " ", "x" * 65, "a b", "a\n", "\n", "ä", "٣", "a/b", "<script>", 'a"b', "a;b"]
)
def test_an_insane_id_is_replaced_by_a_new_one(client: FlaskClient, insane: str) -> None:
    response = client.get("/id", environ_overrides={"HTTP_X_REQUEST_ID": insane})
    assert re.fullmatch("[0-9a-f]{32}", response.text)
    assert response.headers["X-Request-ID"] == response.text


def test_every_request_without_an_id_gets_one_of_its_own(client: FlaskClient) -> None:
    assert client.get("/id").text != client.get("/id").text


@pytest.mark.parametrize("path", ["/fault", "/nowhere"])
def test_error_answers_carry_it_too(client: FlaskClient, path: str) -> None:
    assert client.get(path, headers={"X-Request-ID": "mine"}).headers["X-Request-ID"] == "mine"

"""What a request's body must be."""

from __future__ import annotations

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from shared.bodies import json_object
from shared.errors import answer, init_errors
from shared.request_ids import init_request_ids

LIMIT = 1024


@pytest.fixture
def client() -> FlaskClient:
    app = Flask("test")
    app.config["MAX_CONTENT_LENGTH"] = LIMIT
    init_request_ids(app)
    init_errors(app)

    @app.post("/")
    def echo() -> Response:
        return answer(200, json_object())

    return app.test_client()


def message_of(
    client: FlaskClient, body: bytes, content_type: str | None = "application/json"
) -> tuple[int, str]:
    response = client.post("/", data=body, content_type=content_type)
    return response.status_code, response.get_json()["message"]


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "application/vnd.x+json"]
)
def test_a_json_object_is_taken(client: FlaskClient, content_type: str) -> None:
    response = client.post("/", data='{"a":"ä"}'.encode(), content_type=content_type)
    assert response.get_json() == {"a": "ä"}


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "text/json-ish"]
)
def test_another_content_type_is_415(client: FlaskClient, content_type: str | None) -> None:
    code, text = message_of(client, b'{"a":1}', content_type)
    assert (code, text) == (415, "The body must be JSON: Content-Type: application/json")


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"', b"true", b'[{"a":1}]'])
def test_what_is_no_object_is_400(client: FlaskClient, body: bytes) -> None:
    assert message_of(client, body) == (400, "The body must be a JSON object")


def test_what_strict_json_refuses_is_400_saying_why(client: FlaskClient) -> None:
    assert message_of(client, b'{"a":1,"a":2}') == (400, "The JSON has the key 'a' twice")
    assert message_of(client, b"{") == (
        400,
        "Malformed JSON: Expecting property name enclosed in double quotes at line 1, column 2",
    )
    assert message_of(client, b"")[0] == 400


def test_a_body_over_the_limit_is_413(client: FlaskClient) -> None:
    padding = b" " * (LIMIT - len(b'{"a":1}'))
    assert client.post("/", data=b'{"a":1}' + padding, content_type="application/json").status_code == 200
    code, text = message_of(client, b'{"a":1}' + padding + b" ")
    assert code == 413
    assert text

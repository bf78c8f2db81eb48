"""Every error of every route has one shape (contract, section 2)."""

from __future__ import annotations

import logging

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from marshmallow import Schema, fields
from werkzeug.exceptions import ServiceUnavailable

from shared.errors import ApiError, answer, dotted, init_errors, validation_failed
from shared.request_ids import init_request_ids


class Inner(Schema):
    source = fields.String(required=True)


class Outer(Schema):
    email = fields.String(required=True)
    additionalData = fields.Nested(Inner)
    leads = fields.List(fields.Nested(Inner))


@pytest.fixture
def client() -> FlaskClient:
    app = Flask("test", static_folder=None)
    init_request_ids(app)
    init_errors(app)

    @app.get("/teapot")
    def teapot() -> Response:
        raise ApiError(418, "No coffee", headers={"Retry-After": "7"}, extra={"retry_after": 7})

    @app.get("/schema")
    def schema() -> Response:
        Outer().load({"additionalData": {"source": 1}, "leads": [{"source": "a"}, {}], "other": 1})
        raise AssertionError

    @app.get("/validation")
    def validation() -> Response:
        raise validation_failed({"strict": ["This value should be true or false"]})

    @app.get("/fault")
    def fault() -> Response:
        raise RuntimeError("the password is s3cret")

    @app.get("/unavailable")
    def unavailable() -> Response:
        raise ServiceUnavailable

    @app.get("/slash/")
    def slash() -> Response:
        return answer(200, {})

    return app.test_client()


def test_an_error_has_status_code_message_and_what_else_it_says(client: FlaskClient) -> None:
    response = client.get("/teapot")
    assert response.status_code == 418
    assert response.mimetype == "application/json"
    assert response.headers["Retry-After"] == "7"
    assert response.get_json() == {"status": "error", "code": 418, "message": "No coffee", "retry_after": 7}


def test_fields_at_fault_are_named_by_dotted_paths(client: FlaskClient) -> None:
    response = client.get("/schema")
    assert response.status_code == 400
    assert response.get_json() == {
        "status": "error",
        "code": 400,
        "message": "Validation failed",
        "errors": {
            "email": ["Missing data for required field."],
            "additionalData.source": ["Not a valid string."],
            "leads.1.source": ["Missing data for required field."],
            "other": ["Unknown field."],
        },
    }


def test_a_fault_of_a_view_has_the_same_shape(client: FlaskClient) -> None:
    assert client.get("/validation").get_json() == {
        "status": "error",
        "code": 400,
        "message": "Validation failed",
        "errors": {"strict": ["This value should be true or false"]},
    }


def test_what_a_schema_says_of_an_object_as_a_whole_stands_at_its_path() -> None:
    assert dotted({"lead": {"_schema": ["broken"], "email": ["bad", "long"]}}) == {
        "lead": ["broken"],
        "lead.email": ["bad", "long"],
    }


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("GET", "/nowhere", 404), ("POST", "/teapot", 405), ("GET", "/unavailable", 503)],
)
def test_what_flask_refuses_has_the_same_shape(
    client: FlaskClient, method: str, path: str, code: int
) -> None:
    response = client.open(path, method=method)
    assert response.status_code == code
    assert response.mimetype == "application/json"
    body = response.get_json()
    assert set(body) == {"status", "code", "message"}
    assert (body["status"], body["code"]) == ("error", code)
    assert body["message"]


def test_a_wrong_method_is_told_the_right_ones(client: FlaskClient) -> None:
    assert "GET" in client.post("/teapot").headers["Allow"]


def test_a_redirect_is_no_error(client: FlaskClient) -> None:
    response = client.get("/slash")
    assert response.status_code == 308
    assert response.headers["Location"].endswith("/slash/")


def test_a_fault_of_ours_tells_the_client_nothing_and_the_log_all(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "leadgate.errors"):
        response = client.get("/fault")
    assert response.status_code == 500
    assert response.get_json() == {"status": "error", "code": 500, "message": "Internal server error"}
    (record,) = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)

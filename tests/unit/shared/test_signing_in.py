"""The two routes for signing in that both services share."""

from __future__ import annotations

import jwt
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, update

from shared.database import writing
from shared.identity import identity_changed
from shared.models import app_users
from tests.factories import PASSWORD

LOGIN = {"email": "partner@example.com", "password": PASSWORD}


@pytest.fixture(params=["ingest", "admin"])
def client(request: pytest.FixtureRequest) -> FlaskClient:
    """Each of the two services."""
    service: FlaskClient = request.getfixturevalue(request.param)
    return service


def test_a_login_is_answered_with_a_token_that_works(client: FlaskClient, partner: int) -> None:
    response = client.post("/api/login_check", json=LOGIN)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    body = response.get_json()
    assert set(body) == {"token", "expiresIn"}
    assert body["expiresIn"] == 3600
    headers = {"Authorization": f"Bearer {body['token']}"}
    assert client.post("/api/leads", json={}, headers=headers).status_code in (400, 405)  # no 401


def test_the_email_may_be_written_in_any_case(client: FlaskClient, partner: int) -> None:
    assert client.post("/api/login_check", json=LOGIN | {"email": "PARTNER@Example.Com"}).status_code == 200


@pytest.mark.parametrize(
    "change", [{"password": "wrong"}, {"password": ""}, {"email": "unknown@example.com"}, {"email": ""}]
)
def test_a_wrong_login_does_not_tell_what_is_wrong(
    client: FlaskClient, partner: int, change: dict[str, str]
) -> None:
    response = client.post("/api/login_check", json=LOGIN | change)
    assert response.status_code == 401
    assert response.get_json() == {"status": "error", "code": 401, "message": "Invalid credentials."}
    assert "WWW-Authenticate" in response.headers


def test_a_deactivated_user_or_one_without_a_password_cannot_log_in(
    client: FlaskClient, sqlite_engine: Engine, partner: int
) -> None:
    for values in ({"is_active": False}, {"is_active": True, "password_hash": None}):
        with writing(sqlite_engine).begin() as connection:
            connection.execute(update(app_users).values(**values))
            identity_changed(connection)
        assert client.post("/api/login_check", json=LOGIN).get_json()["message"] == "Invalid credentials."


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (
            {},
            {"email": ["Missing data for required field."], "password": ["Missing data for required field."]},
        ),
        (
            {"email": 1, "password": None},
            {"email": ["Not a valid string."], "password": ["Field may not be null."]},
        ),
        (LOGIN | {"password": "x" * 1025}, {"password": ["Longer than maximum length 1024."]}),
        (LOGIN | {"username": "x"}, {"username": ["Unknown field."]}),
    ],
)
def test_a_malformed_login_is_told_what_is_wrong(
    client: FlaskClient, body: dict[str, object], errors: dict[str, list[str]]
) -> None:
    response = client.post("/api/login_check", json=body)
    assert response.status_code == 400
    assert response.get_json()["errors"] == errors


def test_logins_are_counted_by_address(client: FlaskClient) -> None:
    here, there = {"REMOTE_ADDR": "192.0.2.1"}, {"REMOTE_ADDR": "192.0.2.2"}
    remaining = [
        client.post("/api/login_check", json={}, environ_overrides=address).headers["X-RateLimit-Remaining"]
        for address in (here, here, there)
    ]
    assert remaining == ["999", "998", "999"]


def test_the_published_keys_verify_a_token(client: FlaskClient, partner: int) -> None:
    token = client.post("/api/login_check", json=LOGIN).get_json()["token"]
    response = client.get("/.well-known/jwks.json")
    assert response.headers["Cache-Control"] == "public, max-age=3600"
    keys = jwt.PyJWKSet.from_dict(response.get_json())
    claims = jwt.decode(token, keys[jwt.get_unverified_header(token)["kid"]], ["RS256"], issuer="leadgate")
    assert claims["sub"] == str(partner)

"""Who may call what, and the answer to everyone else (contract, section 3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, update

from shared.access import REMEMBER_SECONDS, TOKEN_SECONDS, access_of
from shared.database import writing
from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT, identity_changed
from shared.keys import REREAD_SECONDS, SETTLE_SECONDS, KeyRing, make_key
from shared.models import app_users
from shared.times import utc_now
from tests.factories import NOON, make_api_key, make_user
from tests.fakes import FakeElapsed
from tests.unit.conftest import signed_in_as
from tests.unit.shared.guarded import answer_to, app_with, bearer, signed


@pytest.fixture
def app(sqlite_engine: Engine, keys: KeyRing) -> Flask:
    return app_with(sqlite_engine, keys, FakeElapsed())


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def change_user(app: Flask, engine: Engine, **values: Any) -> None:
    """Changes every user, and lets the app look for changes."""
    with writing(engine).begin() as connection:
        connection.execute(update(app_users).values(**values))
        identity_changed(connection)
    access_of(app).identity.refresh()


def test_a_token_signs_its_user_in(app: Flask, client: FlaskClient, partner: int) -> None:
    response = client.get("/partners", headers=signed_in_as(app, partner))
    assert (response.status_code, response.get_json()) == (200, {"user": partner})


def test_a_token_says_who_it_is_for_and_until_when(app: Flask, keys: KeyRing, administrator: int) -> None:
    token = signed_in_as(app, administrator)["Authorization"].removeprefix("Bearer ")
    assert jwt.get_unverified_header(token) == {
        "alg": "RS256",
        "typ": "JWT",
        "kid": keys.current().signing_kid,
    }
    claims = jwt.decode(token, keys.current().signing_key.public_key(), ["RS256"], issuer="leadgate")
    assert claims["sub"] == str(administrator)
    assert claims["roles"] == [ROLE_ADMIN]
    assert claims["ver"] == 1
    assert claims["exp"] - claims["iat"] == TOKEN_SECONDS == 3600
    assert claims["jti"]


def test_an_api_key_signs_its_user_in(client: FlaskClient, sqlite_engine: Engine, partner: int) -> None:
    key = make_api_key(sqlite_engine, partner, expires_at=utc_now() + timedelta(minutes=1))
    assert client.get("/partners", headers={"X-AUTH-Token": key}).get_json() == {"user": partner}


def test_the_scheme_may_be_written_in_any_case(app: Flask, client: FlaskClient, partner: int) -> None:
    token = signed_in_as(app, partner)["Authorization"].removeprefix("Bearer ")
    assert answer_to(client, {"Authorization": f"bEARER  {token}"}) == (200, "")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "Token abc"},
        {"authorization": "abc"},
    ],
)
def test_without_credentials_there_is_no_token(client: FlaskClient, headers: dict[str, str]) -> None:
    assert answer_to(client, headers) == (401, "JWT Token not found")


def test_a_token_of_an_older_version_is_revoked(
    app: Flask, client: FlaskClient, sqlite_engine: Engine, partner: int
) -> None:
    old = signed_in_as(app, partner)
    assert answer_to(client, old) == (200, "")
    change_user(app, sqlite_engine, token_version=2)
    assert answer_to(client, old) == (401, "Revoked JWT Token")
    assert answer_to(client, signed_in_as(app, partner)) == (200, "")


@pytest.mark.parametrize("values", [{"is_active": False}, {"deleted_at": NOON, "email_key": None}])
def test_token_and_key_of_a_user_who_is_deactivated_or_deleted_are_dead(
    app: Flask, client: FlaskClient, sqlite_engine: Engine, partner: int, values: dict[str, Any]
) -> None:
    token = signed_in_as(app, partner)
    key = {"X-AUTH-Token": make_api_key(sqlite_engine, partner)}
    assert answer_to(client, token) == answer_to(client, key) == (200, "")
    change_user(app, sqlite_engine, **values)
    assert answer_to(client, token) == (401, "Revoked JWT Token")
    assert answer_to(client, key) == (401, "Invalid API key")


def test_a_token_of_a_user_who_never_was_is_revoked(client: FlaskClient, keys: KeyRing, partner: int) -> None:
    assert answer_to(client, signed(keys.current(), partner + 1000)) == (401, "Revoked JWT Token")


def test_an_unknown_expired_or_disabled_api_key_is_invalid(
    client: FlaskClient, sqlite_engine: Engine, partner: int
) -> None:
    past = utc_now() - timedelta(seconds=1)
    expired = make_api_key(sqlite_engine, partner, expires_at=past)
    disabled = make_api_key(sqlite_engine, partner, disabled_at=past)
    for key in ("unknown", "", expired, disabled, "é"):
        assert answer_to(client, {"X-AUTH-Token": key}) == (401, "Invalid API key")


def test_a_bad_api_key_is_not_made_good_by_a_token(app: Flask, client: FlaskClient, partner: int) -> None:
    headers = signed_in_as(app, partner) | {"X-AUTH-Token": "unknown"}
    assert answer_to(client, headers) == (401, "Invalid API key")


def test_a_role_that_is_missing_is_denied(
    app: Flask, client: FlaskClient, sqlite_engine: Engine, partner: int, administrator: int
) -> None:
    nobody = make_user(sqlite_engine, "nobody@example.com", roles=())
    assert answer_to(client, signed_in_as(app, partner), "/admins") == (403, "Access denied")
    assert answer_to(client, signed_in_as(app, nobody)) == (403, "Access denied")
    assert answer_to(client, signed_in_as(app, administrator)) == (200, "")
    assert answer_to(client, signed_in_as(app, administrator), "/admins") == (200, "")


def test_the_roles_in_force_are_the_users_not_the_tokens(
    app: Flask, client: FlaskClient, sqlite_engine: Engine, administrator: int
) -> None:
    token = signed_in_as(app, administrator)
    assert answer_to(client, token, "/admins") == (200, "")
    change_user(app, sqlite_engine, roles=[ROLE_API_CLIENT])
    assert answer_to(client, token, "/admins") == (403, "Access denied")


def test_a_route_for_everyone_asks_nobody(client: FlaskClient) -> None:
    assert answer_to(client, bearer("garbage"), "/all") == (200, "")


def test_requests_of_a_user_are_counted_together_however_it_signs_in(
    app: Flask, client: FlaskClient, sqlite_engine: Engine, partner: int
) -> None:
    change_user(app, sqlite_engine, rate_limit_per_minute=2)
    key = {"X-AUTH-Token": make_api_key(sqlite_engine, partner)}
    assert answer_to(client, signed_in_as(app, partner)) == (200, "")
    assert answer_to(client, key) == (200, "")
    assert client.get("/partners", headers=key).status_code == 429


def test_denied_requests_count_and_unknown_callers_count_by_address(
    app: Flask, client: FlaskClient, partner: int
) -> None:
    left = "X-RateLimit-Remaining"
    assert [client.get("/partners").headers[left] for _ in range(2)] == ["9999", "9998"]
    assert client.get("/admins", headers=signed_in_as(app, partner)).headers[left] == "9999"


def test_a_token_outlives_its_key_by_some_seconds_at_most(
    sqlite_engine: Engine, tmp_path: Path, partner: int
) -> None:
    elapsed = FakeElapsed()
    first = make_key(tmp_path, datetime(2026, 1, 1, tzinfo=UTC))
    app = app_with(sqlite_engine, KeyRing(tmp_path, elapsed), elapsed)
    client, token = app.test_client(), signed_in_as(app, partner)
    assert answer_to(client, token) == (200, "")
    make_key(tmp_path, datetime(2026, 1, 2, tzinfo=UTC))
    first.unlink()
    elapsed.pass_by(REREAD_SECONDS + REMEMBER_SECONDS)
    assert answer_to(client, token) == (403, "Invalid JWT Token")
    assert answer_to(client, signed_in_as(app, partner)) == (200, "")


def test_rotation_logs_nobody_out(sqlite_engine: Engine, tmp_path: Path, partner: int) -> None:
    elapsed = FakeElapsed()
    clock = [make_key(tmp_path, datetime(2026, 1, 1, tzinfo=UTC)).stat().st_mtime]
    app = app_with(sqlite_engine, KeyRing(tmp_path, elapsed, lambda: clock[0]), elapsed)
    client, old = app.test_client(), signed_in_as(app, partner)
    clock[0] = make_key(tmp_path, datetime(2026, 1, 2, tzinfo=UTC)).stat().st_mtime + SETTLE_SECONDS
    elapsed.pass_by(REREAD_SECONDS + REMEMBER_SECONDS)
    new = signed_in_as(app, partner)
    assert (
        jwt.get_unverified_header(new["Authorization"].removeprefix("Bearer "))["kid"]
        == "20260102T000000000000"
    )
    assert answer_to(client, old) == answer_to(client, new) == (200, "")

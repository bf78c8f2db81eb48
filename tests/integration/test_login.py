"""Logging in with a password on both services: the token, the published keys, and every no (section 3)."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from flask import Flask
from sqlalchemy import Engine

from shared.keys import KeyRing
from tests.factories import PASSWORD
from tests.integration.calling import (
    LOGIN,
    SERVICES,
    USERS,
    Caller,
    Person,
    add_admin,
    add_partner,
    created,
    is_error,
    log_in,
    new_app,
    token_of,
)


@pytest.fixture(params=SERVICES)
def app(request: pytest.FixtureRequest, sqlite_engine: Engine, keys: KeyRing) -> Flask:
    """Each service."""
    return new_app(request.param, sqlite_engine, keys)


@pytest.fixture
def partner(sqlite_engine: Engine) -> Person:
    return add_partner(sqlite_engine)


@pytest.fixture
def admin(sqlite_engine: Engine, keys: KeyRing) -> Caller:
    """An admin who changes things by way of another instance."""
    return add_admin(sqlite_engine).calls(new_app("admin", sqlite_engine, keys))


def test_a_login_is_answered_with_a_token_for_an_hour_and_nothing_else(app: Flask, partner: Person) -> None:
    answer = log_in(app, partner.email)
    assert answer.status_code == 200
    assert set(answer.json) == {"token", "expiresIn"}
    assert answer.json["expiresIn"] == 3600
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("written", ["PARTNER@example.com", "ｐａｒｔｎｅｒ@example.com"])
def test_an_email_may_be_written_differently_to_log_in(app: Flask, partner: Person, written: str) -> None:
    assert log_in(app, written).status_code == 200


def test_a_token_says_who_it_is_for_and_is_verified_with_the_published_keys(
    app: Flask, partner: Person
) -> None:
    token = token_of(app, partner.email)
    published = jwt.PyJWKSet.from_dict(Caller(app).get("/.well-known/jwks.json").json)
    head = jwt.get_unverified_header(token)
    assert head["alg"] == "RS256"
    claims = jwt.decode(token, published[head["kid"]], algorithms=["RS256"], issuer="leadgate")
    assert (claims["sub"], claims["roles"]) == (str(partner.id), ["ROLE_API_CLIENT"])
    assert claims["exp"] - claims["iat"] == 3600
    assert abs(claims["iat"] - time.time()) < 60
    assert claims["jti"] != jwt.decode(token_of(app, partner.email), options={"verify_signature": False}).get(
        "jti"
    )


def test_the_published_keys_have_no_private_part(app: Flask) -> None:
    answer = Caller(app).get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert all(set(jwk) == {"kty", "use", "alg", "kid", "n", "e"} for jwk in answer.json["keys"])


def test_a_wrong_login_is_401_whatever_is_wrong(
    app: Flask, admin: Caller, sqlite_engine: Engine, partner: Person
) -> None:
    created(admin, email="no.password@example.com")
    admin.patch(f"{USERS}{add_partner(sqlite_engine, 'deactivated@example.com').id}", {"isActive": False})
    admin.delete(f"{USERS}{add_partner(sqlite_engine, 'deleted@example.com').id}")
    wrong = [
        (partner.email, "not this one"),
        (partner.email, ""),
        (partner.email, PASSWORD.upper()),
        ("nobody@example.com", PASSWORD),
        ("no.password@example.com", ""),
        ("deactivated@example.com", PASSWORD),
        ("deleted@example.com", PASSWORD),
    ]
    for email, password in wrong:
        answer = log_in(app, email, password)
        assert is_error(answer, 401, "Invalid credentials.")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"email": "partner@example.com"}, {"password"}),
        ({"password": PASSWORD}, {"email"}),
        ({"email": 1, "password": ["x"]}, {"email", "password"}),
        ({"email": None, "password": PASSWORD}, {"email"}),
        ({"email": "x" * 256, "password": PASSWORD}, {"email"}),
        ({"email": "partner@example.com", "password": "x" * 1025}, {"password"}),
        ({"email": "partner@example.com", "password": PASSWORD, "role": "x"}, {"role"}),
    ],
)
def test_a_login_that_is_none_is_400(app: Flask, body: dict[str, Any], named: set[str]) -> None:
    answer = Caller(app).post(LOGIN, body)
    assert is_error(answer, 400, "Validation failed")
    assert set(answer.json["errors"]) == named
    assert PASSWORD not in answer.text

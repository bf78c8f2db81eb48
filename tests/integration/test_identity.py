"""Who is let in on both services, and how everyone else is answered (contract, section 3)."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask
from sqlalchemy import Engine

from shared.keys import KeyRing
from shared.times import utc_now
from tests.factories import make_api_key
from tests.integration.calling import (
    SERVICES,
    USERS,
    Answer,
    Caller,
    Person,
    add_admin,
    add_partner,
    is_error,
    is_seed_error,
    new_app,
    token_of,
)

ADMIN_ROUTES = [
    ("GET", USERS),
    ("POST", USERS),
    ("GET", f"{USERS}1"),
    ("PUT", f"{USERS}1"),
    ("PATCH", f"{USERS}1"),
    ("DELETE", f"{USERS}1"),
    ("POST", f"{USERS}1/access_tokens"),
    ("GET", f"{USERS}1/access_tokens"),
    ("DELETE", f"{USERS}1/access_tokens/1"),
    ("POST", f"{USERS}1/revoke_tokens"),
]
PARTNER_ROUTES = [
    ("ingest", "POST", "/api/leads"),
    ("admin", "GET", "/api/leads"),
    ("admin", "GET", "/api/leads/1"),
]
OPEN_ROUTES = ["/livez", "/readyz", "/.well-known/jwks.json"]


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


@pytest.fixture(scope="session")
def foreign_key() -> rsa.RSAPrivateKey:
    """A key that is none of ours."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def key(api_key: str) -> dict[str, str]:
    return {"X-AUTH-Token": api_key}


def signed(
    keys: KeyRing,
    person: Person,
    *,
    algorithm: str = "RS256",
    sign_with: Any = None,
    kid: str | None = None,
    **claims: Any,
) -> str:
    """A token as we sign it for that person, but for what is named; a claim that is None is left out."""
    own_kid, own_key = keys.current().signing_kid, keys.current().signing_key
    now = int(time.time())
    ours = {"iss": "leadgate", "sub": str(person.id), "roles": ["ROLE_API_CLIENT"], "ver": 1, "jti": "x"}
    said = ours | {"iat": now, "exp": now + 3600} | claims
    return jwt.encode(
        {name: value for name, value in said.items() if value is not None},
        own_key if sign_with is None else sign_with,
        algorithm,
        headers={"kid": kid or own_kid},
    )


# --- who is let in ------------------------------------------------------------------------------------


def test_a_partner_is_let_in_with_a_token_and_with_a_key(app: Flask, partner: Person) -> None:
    assert Caller(app, bearer(token_of(app, partner.email))).is_let_in()
    assert Caller(app, key(partner.api_key)).is_let_in()


def test_an_admin_may_do_what_a_partner_may(app: Flask, sqlite_engine: Engine) -> None:
    admin = add_admin(sqlite_engine)
    assert Caller(app, bearer(token_of(app, admin.email))).is_let_in()
    assert Caller(app, key(admin.api_key)).is_let_in()


def test_a_token_of_one_service_is_good_on_the_other(
    app: Flask, sqlite_engine: Engine, keys: KeyRing, partner: Person
) -> None:
    for issuer in SERVICES:
        assert Caller(app, bearer(token_of(new_app(issuer, sqlite_engine, keys), partner.email))).is_let_in()


@pytest.mark.parametrize("path", OPEN_ROUTES)
def test_some_routes_ask_nobody(app: Flask, path: str) -> None:
    assert Caller(app).get(path).status_code in (200, 503)


# --- who is not: 401 ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic dGVzdDp0ZXN0"}, {"Authorization": ""}, {"Cookie": "token=x"}]
)
def test_no_credentials_are_401(app: Flask, headers: dict[str, str]) -> None:
    answer = Caller(app, headers).knock()
    assert is_error(answer, 401, "JWT Token not found")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("body", [b"{", b"x" * 2000, None])
def test_who_has_no_credentials_learns_nothing_of_the_body(
    sqlite_engine: Engine, keys: KeyRing, body: bytes | None
) -> None:
    anyone = Caller(new_app("ingest", sqlite_engine, keys))
    assert is_error(anyone.post("/api/leads", body), 401, "JWT Token not found")


def test_an_expired_token_is_401(app: Flask, keys: KeyRing, partner: Person) -> None:
    answer = Caller(app, bearer(signed(keys, partner, exp=int(time.time()) - 1))).knock()
    assert is_error(answer, 401, "Expired JWT Token")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


END: dict[str, Callable[[Caller, int], Answer]] = {
    "deactivated": lambda admin, user_id: admin.patch(f"{USERS}{user_id}", {"isActive": False}),
    "deleted": lambda admin, user_id: admin.delete(f"{USERS}{user_id}"),
}


@pytest.mark.parametrize("end", END)
def test_token_and_key_of_a_user_who_is_gone_are_401(
    app: Flask, admin: Caller, keys: KeyRing, partner: Person, end: str
) -> None:
    token = signed(keys, partner)
    assert END[end](admin, partner.id).status_code == 204
    for credentials, message in (
        (bearer(token), "Revoked JWT Token"),
        (key(partner.api_key), "Invalid API key"),
    ):
        answer = Caller(app, credentials).knock()
        assert is_error(answer, 401, message)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_revoked_token_is_401(app: Flask, admin: Caller, keys: KeyRing, partner: Person) -> None:
    token = signed(keys, partner)
    assert admin.post(f"{USERS}{partner.id}/revoke_tokens").status_code == 204
    assert is_error(Caller(app, bearer(token)).knock(), 401, "Revoked JWT Token")


@pytest.mark.parametrize("kind", ["unknown", "empty", "expired", "disabled", "not text"])
def test_a_key_that_is_no_good_is_401(app: Flask, sqlite_engine: Engine, partner: Person, kind: str) -> None:
    before = utc_now() - timedelta(seconds=1)
    api_key = {
        "unknown": partner.api_key[:-1],
        "empty": "",
        "expired": make_api_key(sqlite_engine, partner.id, expires_at=before),
        "disabled": make_api_key(sqlite_engine, partner.id, disabled_at=before),
        "not text": "\xff" * 50,
    }[kind]
    answer = Caller(app, key(api_key)).knock()
    assert is_error(answer, 401, "Invalid API key")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


# --- who is not: 403 ----------------------------------------------------------------------------------


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def promoted(token: str) -> str:
    """The same token, saying that its bearer is an admin."""
    head, claims, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return f"{head}.{encoded(json.dumps(said | {'roles': ['ROLE_ADMIN']}).encode())}.{signature}"


Forge = Callable[[KeyRing, Person, rsa.RSAPrivateKey], str]
FORGED: dict[str, Forge] = {
    "malformed": lambda keys, p, foreign: "nonsense",
    "without its signature": lambda keys, p, foreign: signed(keys, p).rpartition(".")[0] + ".",
    "with another text": lambda keys, p, foreign: promoted(signed(keys, p)),
    "bottomless": lambda keys, p, foreign: f"{encoded(b'[' * 5000)}.{encoded(b'[' * 5000)}.x",
    "unsigned": lambda keys, p, foreign: signed(keys, p, algorithm="none", sign_with=""),
    "signed by a stranger": lambda keys, p, foreign: signed(keys, p, sign_with=foreign),
    "of another algorithm": lambda keys, p, foreign: signed(keys, p, algorithm="RS512"),
    "of a secret": lambda keys, p, foreign: signed(keys, p, algorithm="HS256", sign_with=b"secret" * 8),
    "of another issuer": lambda keys, p, foreign: signed(keys, p, iss="somebody"),
}


@pytest.mark.parametrize("forgery", FORGED)
def test_a_token_that_is_none_of_ours_is_403(
    app: Flask, keys: KeyRing, partner: Person, foreign_key: rsa.RSAPrivateKey, forgery: str
) -> None:
    token = FORGED[forgery](keys, partner, foreign_key)
    assert is_error(Caller(app, bearer(token)).knock(), 403, "Invalid JWT Token")


def test_a_partner_may_not_do_what_admins_do(sqlite_engine: Engine, keys: KeyRing, partner: Person) -> None:
    app = new_app("admin", sqlite_engine, keys)
    signed_in = (partner.calls(app), partner.calls_with_token(app))
    for method, path in ADMIN_ROUTES:
        for caller in signed_in:
            assert is_seed_error(caller.ask(method, path, {}), 403, "Unauthorized", "Access denied")
        assert is_seed_error(Caller(app).ask(method, path, {}), 401, "Unauthorized", "JWT Token not found")


def test_roles_are_those_in_force_and_not_those_in_the_token(
    sqlite_engine: Engine, keys: KeyRing, partner: Person
) -> None:
    app = new_app("admin", sqlite_engine, keys)
    caller = Caller(app, bearer(signed(keys, partner, roles=["ROLE_ADMIN"])))
    assert is_seed_error(caller.get(USERS), 403, "Unauthorized", "Access denied")


@pytest.mark.parametrize(("service", "method", "path"), PARTNER_ROUTES)
def test_partners_routes_are_for_those_who_are_known(
    sqlite_engine: Engine, keys: KeyRing, service: str, method: str, path: str
) -> None:
    app = new_app(service, sqlite_engine, keys)
    assert is_error(Caller(app).ask(method, path), 401, "JWT Token not found")

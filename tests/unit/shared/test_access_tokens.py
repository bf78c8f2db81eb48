"""Tokens that are none, or no longer good, and the answer to each (contract, section 3)."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from shared.identity import ROLE_ADMIN
from shared.keys import KeyRing
from tests.fakes import FakeElapsed
from tests.unit.conftest import signed_in_as
from tests.unit.shared.guarded import answer_to, app_with, base64url, bearer, good_claims, signed
from tests.waiting import wait_until


@pytest.fixture
def app(sqlite_engine: Engine, keys: KeyRing) -> Flask:
    return app_with(sqlite_engine, keys, FakeElapsed())


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.mark.parametrize(
    "token",
    ["", "garbage", "a.b.c", "a.b", "....", "é.é.é", "eyJhbGciOiJSUzI1NiJ9..", "x" * 5000],
    ids=["nothing", "word", "short", "two parts", "dots", "not ASCII", "empty parts", "long"],
)
def test_a_malformed_token_is_invalid(client: FlaskClient, token: str) -> None:
    assert answer_to(client, bearer(token)) == (403, "Invalid JWT Token")


@pytest.mark.parametrize(
    "header", [[], "x", {}, {"alg": "RS256", "kid": {}}, {"alg": "RS256", "kid": 5}, {"alg": ["RS256"]}]
)
def test_a_token_with_a_malformed_header_is_invalid(client: FlaskClient, header: Any) -> None:
    token = f"{base64url(header)}.{base64url({})}.AAAA"
    assert answer_to(client, bearer(token)) == (403, "Invalid JWT Token")


def test_a_bottomless_token_is_invalid(client: FlaskClient, keys: KeyRing) -> None:
    header = base64url({"alg": "RS256", "kid": keys.current().signing_kid})
    deep = base64url(b"[" * 5000)
    for token in (f"{header}.{deep}.AAAA", f"{deep}.{base64url({})}.AAAA"):
        assert answer_to(client, bearer(token)) == (403, "Invalid JWT Token")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_an_unsigned_token_is_invalid(
    client: FlaskClient, keys: KeyRing, partner: int, algorithm: str
) -> None:
    claims = good_claims(partner)
    header = {"alg": algorithm, "kid": keys.current().signing_kid}
    for signature in ("", base64url(b"x")):
        token = f"{base64url(header)}.{base64url(claims)}.{signature}"
        assert answer_to(client, bearer(token)) == (403, "Invalid JWT Token")


def test_a_token_signed_with_our_public_key_as_a_secret_is_invalid(
    client: FlaskClient, keys: KeyRing, partner: int
) -> None:
    public = keys.current().signing_key.public_key()
    secret = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "typ": "JWT", "kid": keys.current().signing_kid}
    body = f"{base64url(header)}.{base64url(good_claims(partner))}"
    signature = hmac.new(secret, body.encode(), hashlib.sha256).digest()
    assert answer_to(client, bearer(f"{body}.{base64url(signature)}")) == (403, "Invalid JWT Token")


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_a_token_signed_by_another_algorithm_is_invalid(
    client: FlaskClient, keys: KeyRing, partner: int, algorithm: str
) -> None:
    current = keys.current()
    token = jwt.encode(good_claims(partner), current.signing_key, algorithm, {"kid": current.signing_kid})
    assert answer_to(client, bearer(token)) == (403, "Invalid JWT Token")


def test_a_token_signed_with_another_key_under_a_known_kid_is_invalid(
    client: FlaskClient, keys: KeyRing, partner: int
) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert answer_to(client, signed(keys.current(), partner, key=other)) == (403, "Invalid JWT Token")


def test_a_token_with_an_unknown_or_no_kid_is_invalid(
    client: FlaskClient, keys: KeyRing, partner: int
) -> None:
    current = keys.current()
    assert answer_to(client, signed(current, partner, kid="../other")) == (403, "Invalid JWT Token")
    without = jwt.encode(good_claims(partner), current.signing_key, "RS256")
    assert answer_to(client, bearer(without)) == (403, "Invalid JWT Token")


def test_a_good_token_that_was_changed_is_invalid(app: Flask, client: FlaskClient, partner: int) -> None:
    header, claims, signature = signed_in_as(app, partner)["Authorization"].split(".")
    admin = base64url(good_claims(partner) | {"roles": [ROLE_ADMIN]})
    assert answer_to(client, {"Authorization": f"{header}.{admin}.{signature}"}) == (403, "Invalid JWT Token")
    swapped = f"{header}.{claims}.{signature[::-1]}"
    assert answer_to(client, {"Authorization": swapped}) == (403, "Invalid JWT Token")


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "other"},
        {"iss": ...},
        {"sub": "x"},
        {"sub": ...},
        {"ver": ...},
        {"ver": "x"},
        {"ver": None},
        {"exp": ...},
    ],
    ids=str,
)
def test_a_token_of_ours_with_claims_that_are_not_is_invalid(
    client: FlaskClient, keys: KeyRing, partner: int, claims: dict[str, Any]
) -> None:
    assert answer_to(client, signed(keys.current(), partner, **claims)) == (403, "Invalid JWT Token")


def test_an_expired_token_says_so(client: FlaskClient, keys: KeyRing, partner: int) -> None:
    expired = signed(keys.current(), partner, exp=int(time.time()) - 1)
    assert answer_to(client, expired) == (401, "Expired JWT Token")


def test_a_wrong_signature_weighs_more_than_having_expired(
    client: FlaskClient, keys: KeyRing, partner: int
) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    expired = signed(keys.current(), partner, key=other, exp=1)
    assert answer_to(client, expired) == (403, "Invalid JWT Token")


def test_a_token_expires_while_it_is_remembered(client: FlaskClient, keys: KeyRing, partner: int) -> None:
    token = signed(keys.current(), partner, exp=int(time.time()) + 3)
    assert answer_to(client, token) == (200, "")
    wait_until(lambda: answer_to(client, token) != (200, ""), "the token has expired", seconds=10)
    assert answer_to(client, token) == (401, "Expired JWT Token")

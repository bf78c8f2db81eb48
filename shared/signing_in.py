"""The routes both services share for signing in: `/api/login_check` and `/.well-known/jwks.json`."""

from __future__ import annotations

import threading

from flask import Blueprint, Response, current_app
from marshmallow import Schema, fields, validate

from shared.access import TOKEN_SECONDS, access_of, caller_address, open_to_all, require_users
from shared.api_schemas import closed, integer, list_of, one_of, text
from shared.bodies import json_object
from shared.errors import ApiError, answer
from shared.openapi import Answer, answers, takes
from shared.passwords import Passwords


class LoginSchema(Schema):
    """Who signs in."""

    email = fields.String(required=True, validate=validate.Length(max=255))
    password = fields.String(required=True, validate=validate.Length(max=1024))


_login_schema = LoginSchema()
_DEMO_LOGIN = {"email": "test@example.com", "password": "password123"}
_TOKEN = closed("Token", {"token": text("eyJhbGciOiJSUzI1NiIs…"), "expiresIn": integer(TOKEN_SECONDS)})
_JWK = {
    "kty": one_of("RSA"),
    "use": one_of("sig"),
    "alg": one_of("RS256"),
    "kid": text("20261121T044617720505"),
    "n": text("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJ"),
    "e": text("AQAB"),
}


def signing_in_blueprint(passwords: Passwords) -> Blueprint:
    """The two routes, checking passwords with `passwords`."""
    blueprint = Blueprint("signing_in", __name__)
    # What is being tried counts as failed: many right logins at once must not use up each other's tries.
    one_at_a_time = threading.Lock()

    @blueprint.post("/api/login_check")
    @open_to_all
    @takes(body=_login_schema, example=_DEMO_LOGIN)
    @answers({200: Answer("Signed in", _TOKEN)}, errors=(401, 503), is_limited=True)
    def login_check() -> Response:
        """A JWT for an email and a password."""
        access, address = access_of(current_app), caller_address()
        access.limits.count(f"address:{address}")
        login = _login_schema.load(json_object())
        require_users(access.identity)
        with one_at_a_time:
            access.limits.begin_login(address, login["email"])
            # A token must not carry what was revoked a moment ago.
            access.identity.refresh()
            user = access.identity.user_by_email(login["email"])
            # Always one hash, so that the time does not tell whether the email is known.
            if not passwords.matches(user.password_hash if user else None, login["password"]) or user is None:
                raise ApiError(401, "Invalid credentials.", headers={"WWW-Authenticate": "Bearer"})
            access.limits.login_succeeded(address, login["email"])
        body = {"token": access.token_for(user), "expiresIn": TOKEN_SECONDS}
        return answer(200, body, {"Cache-Control": "no-store"})

    @blueprint.get("/.well-known/jwks.json")
    @open_to_all
    @answers({200: Answer("A JWK set (RFC 7517)", closed(None, {"keys": list_of(closed("Jwk", _JWK))}))})
    def jwks() -> Response:
        """The public keys that verify our JWTs."""
        keys = access_of(current_app).keys.current()
        return answer(200, keys.jwks(), {"Cache-Control": "public, max-age=3600"})

    return blueprint

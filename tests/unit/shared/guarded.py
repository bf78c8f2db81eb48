"""An app with guarded routes, the answers it gives, and tokens good and bad."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
from flask import Flask, Response, g
from flask.testing import FlaskClient
from sqlalchemy import Engine

from shared.access import Access, open_to_all, signed_in
from shared.errors import answer, init_errors
from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT, Identity
from shared.keys import JwtKeys, KeyRing
from shared.limits import Limits
from tests.fakes import FakeElapsed


def app_with(engine: Engine, keys: KeyRing, elapsed: FakeElapsed) -> Flask:
    """An app with a route for partners, one for admins and one for everyone."""
    app = Flask("test")
    init_errors(app)
    Access(app, Identity(engine), keys, Limits(app, 10_000, ""), elapsed)

    @app.get("/partners")
    @signed_in(ROLE_API_CLIENT)
    def partners() -> Response:
        return answer(200, {"user": g.user.id})

    @app.get("/admins")
    @signed_in(ROLE_ADMIN)
    def admins() -> Response:
        return answer(200, {"user": g.user.id})

    @app.get("/all")
    @open_to_all
    def everyone() -> Response:
        return answer(200, {})

    return app


def answer_to(client: FlaskClient, headers: dict[str, str], path: str = "/partners") -> tuple[int, str]:
    """Code and message; a 401 must say how to sign in, nothing else may."""
    response = client.get(path, headers=headers)
    assert ("WWW-Authenticate" in response.headers) == (response.status_code == 401)
    body = response.get_json()
    if response.status_code != 200:
        assert body == {"status": "error", "code": response.status_code, "message": body["message"]}
    return response.status_code, body.get("message", "")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def good_claims(user_id: int) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": "leadgate",
        "sub": str(user_id),
        "ver": 1,
        "iat": now,
        "exp": now + 3600,
        "jti": "x",
        "type": "access",
    }


def signed(
    keys: JwtKeys, user_id: int, *, kid: str | None = None, key: Any = None, **claims: Any
) -> dict[str, str]:
    """A header with a good token, but for what is named; a claim that is `...` is left out."""
    payload = {name: value for name, value in (good_claims(user_id) | claims).items() if value is not ...}
    headers = {"kid": kid or keys.signing_kid}
    return bearer(jwt.encode(payload, key or keys.signing_key, "RS256", headers))


def base64url(value: Any) -> str:
    """One part of a token: bytes as they are, anything else as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

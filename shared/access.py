"""Who may call a route: every view carries `@signed_in(role)` or `@open_to_all`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import jwt
from flask import Flask, g, request
from flask_jwt_extended import JWTManager, create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException

from shared.current import current_g, current_request, current_service
from shared.errors import ApiError
from shared.identity import Identity, User
from shared.keys import ALGORITHM, KeyRing
from shared.limits import Limits

P = ParamSpec("P")
T = TypeVar("T")

ISSUER = "leadgate"
TOKEN_SECONDS = 3600
REMEMBER_SECONDS = 3.0  # a verified token; revocation does not wait for it, it is looked up each time
REMEMBER_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class _Claims:
    user_id: int
    token_version: int
    expires_at: float
    forget_at: float


class Access:
    """Tells who sends a request, and counts it against the limit of that client."""

    def __init__(
        self,
        app: Flask,
        identity: Identity,
        keys: KeyRing,
        limits: Limits,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self.identity = identity
        self.keys = keys
        self.limits = limits
        self._elapsed = elapsed
        self._verified: dict[str, _Claims] = {}
        app.config.update(
            JWT_ALGORITHM=ALGORITHM,
            JWT_ENCODE_ISSUER=ISSUER,
            JWT_DECODE_ISSUER=ISSUER,
            JWT_ENCODE_NBF=False,
            JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=TOKEN_SECONDS),
            JWT_TOKEN_LOCATION=["headers"],
        )
        manager = JWTManager(app)
        manager.encode_key_loader(lambda _identity: g.signing_key)
        manager.decode_key_loader(lambda header, _claims: self._public_key(header))
        app.extensions["leadgate.access"] = self

    def token_for(self, user: User) -> str:
        """A JWT that signs `user` in for TOKEN_SECONDS."""
        # Asked once, because the next moment another key may be the one that signs.
        keys = self.keys.current()
        g.signing_key = keys.signing_key
        token: str = create_access_token(
            identity=str(user.id),
            additional_claims={"roles": sorted(user.roles), "ver": user.token_version},
            additional_headers={"kid": keys.signing_kid},
        )
        return token

    def caller(self) -> User:
        """The user who sends the current request, also in `g.user`, counted against that user's limit.

        Raises ApiError 401 or 403 (contract, section 3), and 429; who is not known is counted by address.
        """
        try:
            user = self._caller()
        except ApiError:
            self.limits.count(f"address:{caller_address()}")
            raise
        current_g().user = user
        self.limits.count(f"user:{user.id}", user.rate_limit_per_minute)
        return user

    def _caller(self) -> User:
        require_users(self.identity)
        environ = current_request().environ  # werkzeug's headers take 2 µs for each name
        api_key = environ.get("HTTP_X_AUTH_TOKEN")
        if api_key is not None:
            user = self.identity.user_of_key(api_key)
            if user is None:
                raise _unauthorized("Invalid API key")
            return user
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthorized("JWT Token not found")
        claims = self._claims(token.strip())
        user = self.identity.user(claims.user_id)
        if user is None or claims.token_version < user.token_version:
            raise _unauthorized("Revoked JWT Token")
        return user

    def _claims(self, token: str) -> _Claims:
        """What a JWT says, once flask-jwt-extended has verified it; remembered, because that costs 300 µs."""
        now = self._elapsed()
        known = self._verified.get(token)
        if known is not None and now < known.forget_at:
            if time.time() >= known.expires_at:
                raise _unauthorized("Expired JWT Token")
            return known
        try:
            decoded = decode_token(token)
            claims = _Claims(int(decoded["sub"]), int(decoded["ver"]), decoded["exp"], now + REMEMBER_SECONDS)
        except jwt.ExpiredSignatureError:
            raise _unauthorized("Expired JWT Token") from None
        except (jwt.PyJWTError, JWTExtendedException, KeyError, ValueError, TypeError):
            raise ApiError(403, "Invalid JWT Token") from None
        if len(self._verified) >= REMEMBER_TOKENS:
            self._verified.clear()
        self._verified[token] = claims
        return claims

    def _public_key(self, header: dict[str, Any]) -> Any:
        key = self.keys.current().public_key(header.get("kid"))
        if key is None:
            raise jwt.InvalidTokenError("signed with a key that is none of ours")
        return key


def access_of(app: Flask) -> Access:
    """The Access that `app` was built with."""
    return cast(Access, app.extensions["leadgate.access"])


def signed_in(role: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """The view is for users who have `role`; it finds the caller in `g.user`."""

    def decorate(view: Callable[P, T]) -> Callable[P, T]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            access = access_of(current_service())
            user = access.caller()
            if not user.may(role):
                raise ApiError(403, "Access denied")
            return view(*args, **kwargs)

        guarded.access_rule = role  # type: ignore[attr-defined]
        return guarded

    return decorate


def open_to_all(view: Callable[P, T]) -> Callable[P, T]:
    """The view is for everyone."""
    view.access_rule = "anyone"  # type: ignore[attr-defined]
    return view


def caller_address() -> str:
    """The address the current request comes from."""
    return request.remote_addr or "unknown"


def require_users(identity: Identity) -> None:
    """Raises ApiError 503 while nobody can be known, because the users were never read."""
    if not identity.is_loaded():
        identity.refresh()
    if not identity.is_loaded():
        raise ApiError(503, "Users cannot be checked now; try again", headers={"Retry-After": "5"})


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, message, headers={"WWW-Authenticate": "Bearer"})

"""What pages of other origins may do, and what may be kept in caches (contract, section 2)."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Engine

from shared.keys import KeyRing
from shared.settings import InvalidSetting, read_settings
from tests.factories import make_batch, make_lead, make_writer
from tests.integration.calling import (
    LOGIN,
    SERVICES,
    USERS,
    Caller,
    add_admin,
    add_partner,
    new_app,
)

PAGE = "https://app.example.com"
OTHER_PAGE = "http://localhost:3000"
STRANGERS = [
    "https://evil.example.com",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com.evil.com",
    "https://appXexample.com",
    "null",
]
EXPOSED = {
    "ETag",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-Request-ID",
}
ALLOWED = "Access-Control-Allow-Origin"


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(sqlite_engine: Engine, keys: KeyRing, service: str) -> Flask:
    """Each service, open to two pages."""
    return new_app(service, sqlite_engine, keys, cors_origins=(PAGE, OTHER_PAGE), rate_limit_per_minute=5)


@pytest.fixture
def anyone(app: Flask) -> Caller:
    return Caller(app)


def preflight(method: str, headers: str, origin: str = PAGE) -> dict[str, str]:
    """What a browser asks before a page's request."""
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }


def cors_headers(headers: object) -> set[str]:
    return {name for name in dict(headers) if name.startswith("Access-Control-")}  # type: ignore[call-overload]


def test_without_origins_no_page_may_call(sqlite_engine: Engine, keys: KeyRing, service: str) -> None:
    anyone = Caller(new_app(service, sqlite_engine, keys))
    for answer in (
        anyone.get("/livez", headers={"Origin": PAGE}),
        anyone.ask("OPTIONS", LOGIN, headers=preflight("POST", "content-type")),
    ):
        assert cors_headers(answer.headers) == set()


@pytest.mark.parametrize("origin", [PAGE, OTHER_PAGE])
def test_a_page_that_is_named_may_read_answers_and_their_headers(anyone: Caller, origin: str) -> None:
    answer = anyone.get("/livez", headers={"Origin": origin})
    assert answer.headers[ALLOWED] == origin
    assert set(answer.headers["Access-Control-Expose-Headers"].split(", ")) == EXPOSED
    assert "Origin" in answer.headers["Vary"]


def test_a_page_may_read_errors_too(anyone: Caller) -> None:
    answers = [anyone.get("/nothing", headers={"Origin": PAGE})]
    answers += [anyone.post(LOGIN, {}, headers={"Origin": PAGE}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [404, 400, 400, 400, 400, 400, 429]
    assert {answer.headers[ALLOWED] for answer in answers} == {PAGE}


@pytest.mark.parametrize("origin", STRANGERS)
def test_a_page_that_is_not_named_may_not(anyone: Caller, origin: str) -> None:
    for answer in (
        anyone.get("/livez", headers={"Origin": origin}),
        anyone.ask("OPTIONS", LOGIN, headers=preflight("POST", "content-type", origin)),
    ):
        assert ALLOWED not in answer.headers


def test_browsers_ask_first_without_credentials_and_are_not_counted(anyone: Caller, service: str) -> None:
    method, wanted = ("POST", "idempotency-key") if service == "ingest" else ("GET", "x-request-id")
    for _ in range(7):
        answer = anyone.ask(
            "OPTIONS",
            "/api/leads",
            headers=preflight(method, f"authorization,content-type,{wanted},x-auth-token"),
        )
        assert answer.status_code in (200, 204)
    assert answer.headers[ALLOWED] == PAGE
    assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
    headers = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "content-type", "x-auth-token", wanted} <= set(headers)
    assert int(answer.headers["Access-Control-Max-Age"]) > 0


def test_browsers_send_no_cookies_along(anyone: Caller) -> None:
    for answer in (
        anyone.get("/livez", headers={"Origin": PAGE}),
        anyone.ask("OPTIONS", LOGIN, headers=preflight("POST", "content-type")),
    ):
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["*", "https://*.example.com", "https://[a-z]+.example.com", "app.example.com"]
)
def test_an_origin_that_is_none_stops_the_start(origin: str) -> None:
    with pytest.raises(InvalidSetting, match="CORS_ORIGINS"):
        read_settings({"CORS_ORIGINS": origin})


def test_what_is_read_with_credentials_is_kept_by_nobody_else(sqlite_engine: Engine, keys: KeyRing) -> None:
    partner = add_partner(sqlite_engine)
    lead = make_lead(client_id=partner.id)
    make_writer(sqlite_engine).write([(make_batch([lead]), 0)])
    admin = add_admin(sqlite_engine).calls(new_app("admin", sqlite_engine, keys))
    places = ("", f"{partner.id}", f"{partner.id}/access_tokens")
    for path in ("/api/leads", f"/api/leads/{lead.id}", *(USERS + place for place in places)):
        answer = admin.get(path)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "private, no-cache"), path


def test_public_keys_may_be_kept_by_all(anyone: Caller) -> None:
    answer = anyone.get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=3600"

"""How many requests a client may make in a minute, and what every answer says of it."""

from __future__ import annotations

import logging

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.errors import answer, init_errors
from shared.limits import REDIS_RETRY_SECONDS, Limits
from shared.settings import Settings
from tests.fakes import FakeElapsed

NO_REDIS = "redis://127.0.0.1:1/0"  # nothing listens on port 1


def client_of(per_minute: int, redis_url: str = "", elapsed: FakeElapsed | None = None) -> FlaskClient:
    """An app whose route counts a request of `?client=` with its own limit `?own=`."""
    app = Flask("test")
    init_errors(app)
    limits = Limits(app, per_minute, redis_url, elapsed or FakeElapsed())

    @app.get("/")
    def counted() -> Response:
        limits.count(request.args.get("client", "user:1"), request.args.get("own", type=int))
        return answer(200, {})

    @app.get("/free")
    def free() -> Response:
        return answer(200, {})

    return app.test_client()


def codes(client: FlaskClient, requests: int, query: str = "") -> list[int]:
    return [client.get(f"/{query}").status_code for _ in range(requests)]


def assert_headers(response: TestResponse, limit: int, remaining: int) -> int:
    """Checks both families of headers; returns the seconds until the next minute."""
    reset = int(response.headers["X-RateLimit-Reset"])
    assert 1 <= reset <= 60
    assert response.headers["X-RateLimit-Limit"] == str(limit)
    assert response.headers["X-RateLimit-Remaining"] == str(remaining)
    assert response.headers["RateLimit-Policy"] == f'"client";q={limit};w=60'
    assert response.headers["RateLimit"] == f'"client";r={remaining};t={reset}'
    return reset


def test_the_1001st_request_of_a_minute_is_refused() -> None:
    client = client_of(Settings().rate_limit_per_minute)
    assert_headers(client.get("/"), 1000, 999)
    assert codes(client, 998) == [200] * 998
    assert_headers(client.get("/"), 1000, 0)
    refused = client.get("/")
    reset = assert_headers(refused, 1000, 0)
    assert refused.status_code == 429
    assert refused.get_json() == {
        "status": "error",
        "code": 429,
        "message": "Rate limit exceeded",
        "retry_after": reset,
    }
    assert refused.headers["Retry-After"] == str(reset)


def test_each_client_is_counted_by_itself() -> None:
    client = client_of(2)
    assert codes(client, 3, "?client=user:1") == [200, 200, 429]
    assert codes(client, 3, "?client=user:2") == [200, 200, 429]


@pytest.mark.parametrize("own", [1, 5])
def test_a_users_own_limit_holds_in_place_of_the_common_one(own: int) -> None:
    client = client_of(3)
    assert codes(client, own + 1, f"?own={own}") == [200] * own + [429]
    assert_headers(client.get(f"/?own={own}"), own, 0)


def test_two_services_count_for_themselves() -> None:
    one, other = client_of(1), client_of(1)
    assert codes(one, 2) == [200, 429]
    assert codes(other, 2) == [200, 429]


def test_an_answer_that_was_not_counted_says_nothing_of_limits() -> None:
    headers = client_of(1).get("/free").headers
    assert not [name for name, _ in headers if "ratelimit" in name.lower()]


def test_without_redis_limits_go_on_in_process() -> None:
    client = client_of(2, NO_REDIS)
    first = client.get("/")
    assert first.status_code == 200
    assert_headers(first, 2, 1)
    assert codes(client, 2) == [200, 429]


def test_a_redis_that_is_gone_is_not_asked_for_each_request(caplog: pytest.LogCaptureFixture) -> None:
    elapsed = FakeElapsed()
    client = client_of(100, NO_REDIS, elapsed)
    with caplog.at_level(logging.WARNING, "leadgate.limits"):
        codes(client, 5)
        assert len(caplog.records) == 1
        elapsed.pass_by(REDIS_RETRY_SECONDS)
        codes(client, 5)
        assert len(caplog.records) == 2

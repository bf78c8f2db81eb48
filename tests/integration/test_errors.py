"""Every error of every route has one shape, and tells no more than it should (contract, section 2)."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import Engine

from shared.access import open_to_all
from shared.keys import KeyRing
from shared.observability import start_logging
from shared.settings import Settings
from tests.integration.calling import (
    LOGIN,
    SERVICES,
    USERS,
    Answer,
    Caller,
    add_admin,
    created,
    is_error,
    is_seed_error,
    new_app,
)

MIB = 1024 * 1024
PROBLEM = "application/problem+json"
SECRET = "s3cret-in-the-fault"
SEED_ROUTES = ("/admin/api/user/", "/admin/api/user/1/access_tokens", "/api/tracking", "/api/tracking/")


def break_down() -> str:
    raise RuntimeError(SECRET)


def with_faults(app: Flask) -> Flask:
    """The app with two routes more that fail: one of ours, one of the first seed's."""
    for name, path in (("fault", "/fault"), ("seed_fault", "/api/tracking/fault")):
        app.add_url_rule(path, name, open_to_all(break_down))
    return app


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(sqlite_engine: Engine, keys: KeyRing, service: str) -> Flask:
    """Each service."""
    return with_faults(new_app(service, sqlite_engine, keys))


@pytest.fixture
def anyone(app: Flask) -> Caller:
    return Caller(app)


@pytest.fixture
def admin(sqlite_engine: Engine, app: Flask) -> Caller:
    return add_admin(sqlite_engine).calls(app)


@pytest.fixture
def admin_of_users(sqlite_engine: Engine, keys: KeyRing) -> Caller:
    """An admin at the service that has users."""
    return add_admin(sqlite_engine).calls(new_app("admin", sqlite_engine, keys))


# --- one shape ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/nothing", "/api", "/api/lead", "/api/leads/1/2", "/livez/x", "/ä"])
def test_a_route_that_is_not_there_is_404(admin: Caller, path: str) -> None:
    assert is_error(admin.get(path), 404, admin.get(path).json["message"])


def test_a_method_that_a_route_does_not_have_is_405_with_those_it_has(anyone: Caller) -> None:
    answer = anyone.ask("DELETE", LOGIN)
    assert is_error(answer, 405, answer.json["message"])
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize("size", [MIB + 1, 3 * MIB])
def test_a_body_that_is_too_large_is_413(anyone: Caller, size: int) -> None:
    answer = anyone.post(LOGIN, b'{"email": "' + b"x" * size)
    assert is_error(answer, 413, answer.json["message"])


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "nonsense", ""])
def test_a_body_of_another_kind_is_415(anyone: Caller, kind: str) -> None:
    answer = anyone.post(LOGIN, b"{}", headers={"Content-Type": kind})
    assert is_error(answer, 415, "The body must be JSON: Content-Type: application/json")


MALFORMED = {
    b"": "Malformed JSON",
    b"{": "Malformed JSON",
    b'{"email": }': "Malformed JSON",
    b"\xff": "UTF-8",
    b"[]": "JSON object",
    b'"text"': "JSON object",
    b'{"a": 1, "a": 2}': "'a' twice",
    b'{"a": NaN}': "NaN",
    b'{"a": 9223372036854775808}': "64 bits",
    b'{"a": "\\ud800"}': "surrogate",
    b'{"a": "\\u0000"}': "NUL",
    b'{"a":' + b"[" * 64 + b"]" * 64 + b"}": "64 levels",
    b"[" * 100_000: "64 levels",
}


@pytest.mark.parametrize("body", MALFORMED, ids=[str(number) for number in range(len(MALFORMED))])
def test_json_that_will_not_do_is_400_saying_which(anyone: Caller, body: bytes) -> None:
    answer = anyone.post(LOGIN, body)
    assert is_error(answer, 400, answer.json["message"])
    assert MALFORMED[body] in answer.json["message"]


@pytest.mark.parametrize(
    "body", [b'{"password": "hunter2hunter2"', b'{"password": "hunter2hunter2", "a": NaN}']
)
def test_what_was_sent_does_not_come_back_in_an_error(anyone: Caller, body: bytes) -> None:
    assert "hunter2" not in anyone.post(LOGIN, body).text


# --- faults of ours -----------------------------------------------------------------------------------


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Standard error as an operator reads it, with the log lines of a service."""
    root = logging.getLogger("leadgate")
    before = (root.handlers[:], root.level, root.propagate)
    lines = io.StringIO()
    monkeypatch.setattr(sys, "stderr", lines)
    start_logging(Settings(), "a test")
    yield lines
    root.handlers[:], root.propagate = before[0], before[2]
    root.setLevel(before[1])


def test_a_fault_of_ours_tells_the_client_nothing_and_the_log_all(anyone: Caller, log: io.StringIO) -> None:
    answer = anyone.get("/fault", headers={"X-Request-ID": "order-7"})
    assert is_error(answer, 500, "Internal server error")
    everything_said = f"{answer.headers}{answer.text}"
    assert answer.headers["X-Request-ID"] == "order-7"
    assert not any(word in everything_said for word in (SECRET, "RuntimeError", "Traceback", "break_down"))
    logged = log.getvalue()
    assert all(word in logged for word in (SECRET, "Traceback", "break_down", "request_id=order-7"))


def test_a_fault_with_an_id_that_we_chose_is_logged_under_it(anyone: Caller, log: io.StringIO) -> None:
    answer = anyone.get("/fault", headers={"X-Request-ID": "not sane"})
    assert f"request_id={answer.headers['X-Request-ID']}" in log.getvalue()


def test_a_fault_on_a_route_of_the_first_seed_is_in_its_words(anyone: Caller) -> None:
    answer = anyone.get("/api/tracking/fault")
    assert is_seed_error(answer, 500, "Error", "Internal server error")


def test_errors_of_the_client_leave_no_stack_trace_in_the_log(anyone: Caller, log: io.StringIO) -> None:
    for body in MALFORMED:
        anyone.post(LOGIN, body)
    anyone.get("/nothing")
    assert "Traceback" not in log.getvalue()


# --- the first seed's words ---------------------------------------------------------------------------


def test_a_missing_route_beneath_those_of_the_first_seed_is_invalid(anyone: Caller, service: str) -> None:
    path = "/admin/api/user/1/nothing" if service == "admin" else "/api/tracking/nothing"
    answer = anyone.get(path)
    assert is_seed_error(answer, 404, "Invalid", answer.json["message"])


def test_a_missing_user_is_not_found(admin_of_users: Caller) -> None:
    assert is_seed_error(admin_of_users.get(f"{USERS}999"), 404, "Not found", "User not found")


def test_an_id_that_is_none_is_a_missing_route(admin_of_users: Caller) -> None:
    answer = admin_of_users.get(f"{USERS}ada")
    assert is_seed_error(answer, 404, "Invalid", answer.json["message"])


def test_another_method_is_invalid_with_those_there_are(admin_of_users: Caller) -> None:
    answer = admin_of_users.ask("DELETE", USERS)
    assert is_seed_error(answer, 405, "Invalid", answer.json["message"])
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}


def test_bodies_that_will_not_do_are_invalid(admin_of_users: Caller) -> None:
    for code, answer in (
        (413, admin_of_users.post(USERS, b"x" * (MIB + 1))),
        (415, admin_of_users.post(USERS, b"{}", headers={"Content-Type": "text/plain"})),
        (400, admin_of_users.post(USERS, b"{")),
        (400, admin_of_users.post(USERS, b"[]")),
    ):
        assert is_seed_error(answer, code, "Invalid", answer.json["message"])


def test_no_credentials_are_unauthorized(sqlite_engine: Engine, keys: KeyRing) -> None:
    answer = Caller(new_app("admin", sqlite_engine, keys)).get(USERS)
    assert is_seed_error(answer, 401, "Unauthorized", "JWT Token not found")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


# --- RFC 9457 -----------------------------------------------------------------------------------------


def is_problem(answer: Answer, code: int, title: str, detail: str) -> bool:
    assert answer.status_code == code
    assert answer.headers["Content-Type"] == PROBLEM
    said = {"type": "about:blank", "title": title, "status": code, "detail": detail}
    assert {name: answer.json[name] for name in said} == said
    assert set(answer.json) - {"errors"} == set(said)
    return True


@pytest.mark.parametrize("accept", [PROBLEM, f"{PROBLEM}, application/json;q=0.5", f"{PROBLEM.upper()}"])
def test_an_error_is_a_problem_where_the_client_asks_for_one(anyone: Caller, accept: str) -> None:
    answer = anyone.post(LOGIN, {}, headers={"Accept": accept})
    assert is_problem(answer, 400, "Bad Request", "Validation failed")
    assert set(answer.json["errors"]) == {"email", "password"}
    assert answer.headers["X-Request-ID"]


def test_every_error_can_be_a_problem(anyone: Caller) -> None:
    headers = {"Accept": PROBLEM}
    missing = anyone.get("/nothing", headers=headers)
    assert is_problem(missing, 404, "Not Found", missing.json["detail"])
    method = anyone.ask("DELETE", LOGIN, headers=headers)
    assert is_problem(method, 405, "Method Not Allowed", method.json["detail"])
    assert method.headers["Allow"]
    assert is_problem(
        anyone.get("/fault", headers=headers), 500, "Internal Server Error", "Internal server error"
    )
    unknown = anyone.ask("GET", "/api/leads", headers={**headers, "X-AUTH-Token": "x"})
    if unknown.status_code == 401:
        assert is_problem(unknown, 401, "Unauthorized", "Invalid API key")
        assert unknown.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "text/html", f"application/json, {PROBLEM};q=0.5", ""]
)
def test_an_error_is_none_where_the_client_does_not(anyone: Caller, accept: str) -> None:
    answer = anyone.post(LOGIN, {}, headers={"Accept": accept})
    assert is_error(answer, 400, "Validation failed")
    assert answer.headers["Content-Type"] == "application/json"


def test_a_success_stays_json_for_who_asks_for_problems(anyone: Caller) -> None:
    answer = anyone.get("/livez", headers={"Accept": PROBLEM})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("path", SEED_ROUTES)
def test_the_first_seeds_routes_have_no_problems(anyone: Caller, path: str) -> None:
    answer = anyone.ask("BREW", path, headers={"Accept": PROBLEM})
    assert is_seed_error(answer, answer.status_code, "Invalid", answer.json["message"])
    assert answer.headers["Content-Type"] == "application/json"


# --- request ids --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", ["a", "order-7.of_ours", "x" * 64, "0"])
def test_a_sane_request_id_comes_back(anyone: Caller, sent: str) -> None:
    for path in ("/livez", "/nothing", "/fault"):
        assert anyone.get(path, headers={"X-Request-ID": sent}).headers["X-Request-ID"] == sent


@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", "ä", "a/b", "a;b", "<script>"])
def test_a_request_id_that_is_not_is_replaced(anyone: Caller, sent: str) -> None:
    chosen = anyone.get("/livez", headers={"X-Request-ID": sent}).headers["X-Request-ID"]
    assert chosen not in ("", sent)
    assert chosen.isalnum()


def test_every_answer_has_a_request_id_of_its_own(anyone: Caller, admin: Caller) -> None:
    answers = [
        anyone.get(path) for path in ("/livez", "/livez", "/nothing", "/fault", "/.well-known/jwks.json")
    ]
    answers += [anyone.ask("OPTIONS", LOGIN), admin.knock(), anyone.knock()]
    assert len({answer.headers["X-Request-ID"] for answer in answers}) == len(answers)


def test_an_answer_without_a_body_has_one_too(admin_of_users: Caller) -> None:
    user = created(admin_of_users)
    answer = admin_of_users.post(f"{USERS}{user['id']}/revoke_tokens", headers={"X-Request-ID": "order-7"})
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (204, "order-7")

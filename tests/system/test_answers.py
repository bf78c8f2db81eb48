"""What all answers have in common, at the one address and at the admin service's own port."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.client import Answer, Client, new_lead
from tests.system.running import DEMO_PASSWORD, PARTNER, System

MIB = 1024 * 1024
LOGIN = "/api/login_check"
CREDENTIALS = {"email": PARTNER, "password": DEMO_PASSWORD}


@pytest.fixture(params=["one address", "admin alone"])
def port(request: pytest.FixtureRequest, system: System) -> int:
    return system.port if request.param == "one address" else system.admin_port


@pytest.fixture
def anyone(port: int) -> Iterator[Client]:
    with Client(port) as client:
        yield client


@pytest.fixture
def partner(system: System, port: int) -> Iterator[Client]:
    with system.client(port=port) as client:
        yield client


def is_error(answer: Answer, code: int) -> bool:
    """Whether it is an error in the one shape."""
    assert answer.status == code, answer.body
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Request-ID"]
    body = answer.json
    assert set(body) - {"errors"} == {"status", "code", "message"}
    assert (body["status"], body["code"]) == ("error", code)
    assert isinstance(body["message"], str)
    assert body["message"]
    for field, messages in body.get("errors", {}).items():
        assert isinstance(field, str)
        assert messages
        assert all(isinstance(message, str) for message in messages)
    return True


MALFORMED = [b"", b"{", b"nonsense", b'{"email": NaN}', b'{"a":1,"a":2}', b"[]", b"\xff"]
NO_ROUTES = ["/", "/api", "/api/lead", "/admin/nothing", "/partner/nothing", "/%00", "/%FF"]


@pytest.mark.parametrize("body", MALFORMED)
def test_a_body_that_is_no_json_object_is_400(anyone: Client, body: bytes) -> None:
    assert is_error(anyone.ask("POST", LOGIN, body), 400)


def test_missing_fields_are_400_with_each_named(anyone: Client) -> None:
    answer = anyone.ask("POST", LOGIN, {})
    assert is_error(answer, 400)
    assert answer.json["message"] == "Validation failed"
    assert set(answer.json["errors"]) == {"email", "password"}


def test_a_lead_that_will_not_do_is_400_with_each_field_named(system: System) -> None:
    with system.client() as partner:
        answer = partner.post_lead(email="nobody", phone="0", dateOfBirth="1990-02-30", additionalData=[])
    assert is_error(answer, 400)
    assert set(answer.json["errors"]) == {"email", "phone", "dateOfBirth", "additionalData"}
    assert answer.json["errors"]["email"] == ["This value is not a valid email address"]


def test_a_parameter_that_will_not_do_is_400_with_its_name(partner: Client) -> None:
    answer = partner.ask("GET", "/api/leads?limit=101&sortBy=shoeSize")
    assert is_error(answer, 400)
    assert set(answer.json["errors"]) == {"limit", "sortBy"}


def test_no_credentials_are_401(anyone: Client) -> None:
    answer = anyone.ask("GET", "/api/leads")
    assert is_error(answer, 401)
    assert answer.json["message"] == "JWT Token not found"
    assert answer.headers["WWW-Authenticate"]


def test_posting_without_credentials_is_401(system: System) -> None:
    with Client(system.port) as anyone:
        assert is_error(anyone.post_lead(), 401)


@pytest.mark.parametrize("email", [PARTNER, "nobody@example.com"])
def test_a_wrong_login_is_401(anyone: Client, email: str) -> None:
    answer = anyone.ask("POST", LOGIN, {"email": email, "password": "not this one"})
    assert is_error(answer, 401)
    assert answer.json["message"] == "Invalid credentials."


def test_an_unknown_api_key_is_401(anyone: Client) -> None:
    answer = anyone.ask("GET", "/api/leads", headers={"X-AUTH-Token": "nobody's"})
    assert is_error(answer, 401)
    assert answer.json["message"] == "Invalid API key"


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(part: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def forged(token: str, how: str) -> str:
    """A token like `token` that we did not sign: its bearer calls himself an admin."""
    head, claims, signature = token.split(".")
    promoted = encoded(json.dumps(decoded(claims) | {"roles": ["ROLE_ADMIN"]}).encode())
    if how == "another text":
        return f"{head}.{promoted}.{signature}"
    algorithm = "none" if how == "unsigned" else "HS256"
    unsigned = f"{encoded(json.dumps(decoded(head) | {'alg': algorithm}).encode())}.{promoted}"
    if how == "unsigned":
        return f"{unsigned}."
    return f"{unsigned}.{encoded(hmac.digest(b'secret', unsigned.encode(), hashlib.sha256))}"


def test_a_token_that_is_none_is_403(anyone: Client) -> None:
    answer = anyone.ask("GET", "/api/leads", headers={"Authorization": "Bearer nonsense"})
    assert is_error(answer, 403)
    assert answer.json["message"] == "Invalid JWT Token"


@pytest.mark.parametrize("how", ["unsigned", "another algorithm", "another text"])
def test_a_token_that_we_did_not_sign_is_403(system: System, anyone: Client, how: str) -> None:
    bearer = {"Authorization": f"Bearer {forged(system.token(), how)}"}
    answer = anyone.ask("GET", "/api/leads", headers=bearer)
    assert is_error(answer, 403)
    assert answer.json["message"] == "Invalid JWT Token"


@pytest.mark.parametrize("path", NO_ROUTES)
def test_an_unknown_route_is_404(anyone: Client, path: str) -> None:
    assert is_error(anyone.ask("GET", path), 404)


@pytest.mark.parametrize("id", ["00000000-0000-7000-8000-000000000000", "1", "not-an-id"])
def test_an_unknown_lead_is_404(partner: Client, id: str) -> None:
    assert is_error(partner.ask("GET", f"/api/leads/{id}"), 404)


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/api/leads"), ("GET", LOGIN), ("DELETE", "/livez"), ("BREW", "/readyz")]
)
def test_a_method_that_a_route_does_not_have_is_405(anyone: Client, method: str, path: str) -> None:
    answer = anyone.ask(method, path)
    assert is_error(answer, 405)
    assert answer.headers["Allow"]


def test_a_body_of_1_mib_is_read(anyone: Client) -> None:
    whole = json.dumps(CREDENTIALS).encode()
    answer = anyone.ask("POST", LOGIN, whole + b" " * (MIB - len(whole)))
    assert answer.status == 200, answer.body


def test_a_body_of_1_mib_in_chunks_is_read(anyone: Client) -> None:
    whole = json.dumps(CREDENTIALS).encode()
    answer = anyone.ask("POST", LOGIN, iter([whole, b" " * (MIB - len(whole))]))
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("size", [MIB + 1, 3 * MIB])
def test_a_body_over_1_mib_is_413(anyone: Client, size: int) -> None:
    whole = json.dumps(CREDENTIALS).encode()
    assert is_error(anyone.ask("POST", LOGIN, whole + b" " * (size - len(whole))), 413)


@pytest.mark.parametrize("size", [MIB + 1, 3 * MIB])
def test_a_body_over_1_mib_in_chunks_is_413(anyone: Client, size: int) -> None:
    whole = json.dumps(CREDENTIALS).encode()
    assert is_error(anyone.ask("POST", LOGIN, iter([whole, b" " * (size - len(whole))])), 413)


@pytest.mark.parametrize("path", ["/api/leads", "/api/leads/batch", LOGIN, "/api/nowhere"])
def test_who_sends_far_too_much_and_wants_to_be_gone_gets_an_answer(system: System, path: str) -> None:
    expected = 404 if path == "/api/nowhere" else 413
    for _ in range(5):
        with system.client() as partner:
            answer = partner.ask("POST", path, b" " * (20 * MIB), {"Connection": "close"})
            assert is_error(answer, expected), answer.body


def test_a_lead_over_1_mib_is_413(system: System) -> None:
    with system.client() as partner:
        assert is_error(partner.post_lead(additionalData={"text": "x" * MIB}), 413)
        chunks = iter([json.dumps(new_lead()).encode(), b" " * MIB])
        assert is_error(partner.ask("POST", "/api/leads", chunks), 413)
        assert partner.post_lead().status == 201


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "nonsense"])
def test_a_body_of_another_kind_is_415(anyone: Client, kind: str) -> None:
    assert is_error(anyone.ask("POST", LOGIN, b"{}", {"Content-Type": kind}), 415)


def test_head_answers_as_get_without_a_body(partner: Client) -> None:
    answer = partner.ask("HEAD", "/api/leads")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Type"] == "application/json"
    assert partner.ask("GET", "/api/leads").status == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_running_service_says_so(anyone: Client, path: str) -> None:
    assert anyone.ask("GET", path).status == 200


@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", "ä"])
def test_a_request_id_that_is_not_sane_is_replaced(anyone: Client, sent: str) -> None:
    answer = anyone.ask("GET", "/livez", headers={"X-Request-ID": sent})
    assert answer.headers["X-Request-ID"] not in ("", sent)

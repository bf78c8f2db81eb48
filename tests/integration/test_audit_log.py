"""Who changed which user or key: a row for every change, none for one that was refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, Row, select

from shared.keys import KeyRing
from shared.models import audit_log
from shared.times import utc_now
from tests.factories import PASSWORD
from tests.integration.calling import USERS, Caller, Person, add_admin, new_app

AS_MADE = {
    "email": "new@example.com",
    "fullName": None,
    "roles": ["ROLE_API_CLIENT"],
    "description": None,
    "sourceUrl": None,
    "isActive": True,
    "rateLimitPerMinute": None,
}


@pytest.fixture
def app(engine: Engine, keys: KeyRing) -> Flask:
    """The admin service, behind one proxy."""
    return new_app("admin", engine, keys, trusted_proxies=1)


@pytest.fixture
def admin_person(engine: Engine) -> Person:
    return add_admin(engine)


@pytest.fixture
def admin(app: Flask, admin_person: Person) -> Caller:
    headers = {"X-Forwarded-For": "192.0.2.7", "X-Request-ID": "order-7"}
    return Caller(app, {"X-AUTH-Token": admin_person.api_key} | headers)


class History:
    """What the audit log has gained since it was last asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen = 0
        self.gained()

    def gained(self) -> list[Row[Any]]:
        newer = select(audit_log).where(audit_log.c.id > self._seen).order_by(audit_log.c.id)
        with self._engine.connect() as connection:
            rows = list(connection.execute(newer))
        self._seen = rows[-1].id if rows else self._seen
        return rows


@pytest.fixture
def history(engine: Engine, admin_person: Person, partner: Person) -> History:
    return History(engine)


def what(row: Row[Any]) -> tuple[str, str, str]:
    return row.action, row.target, row.target_id


def without_times(user: dict[str, Any] | None) -> dict[str, Any]:
    assert user is not None
    assert {"id", "createdAt", "updatedAt"} <= set(user)
    return {name: value for name, value in user.items() if name not in ("id", "createdAt", "updatedAt")}


def test_a_row_says_who_did_what_when_and_from_where(
    admin: Caller, admin_person: Person, history: History
) -> None:
    before = utc_now()
    user_id = admin.post(USERS, {"email": "new@example.com"}).json["data"]["id"]
    [row] = history.gained()
    assert what(row) == ("create", "user", str(user_id))
    assert row.actor_id == admin_person.id
    assert before - timedelta(seconds=1) <= row.at <= utc_now()
    assert row.address == "192.0.2.7"
    assert row.request_id == "order-7"


def test_creating_a_user_keeps_what_it_is_after(admin: Caller, history: History) -> None:
    admin.post(USERS, {"email": "new@example.com", "password": PASSWORD})
    [row] = history.gained()
    assert row.before is None
    assert without_times(row.after) == AS_MADE


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_changing_a_user_keeps_what_it_was_before_and_is_after(
    admin: Caller, history: History, method: str
) -> None:
    user_id = admin.post(USERS, {"email": "new@example.com"}).json["data"]["id"]
    history.gained()
    body = {"email": "new@example.com", "fullName": "Ada", "isActive": False, "rateLimitPerMinute": 5}
    admin.ask(method, f"{USERS}{user_id}", body)
    [row] = history.gained()
    assert what(row) == ("update", "user", str(user_id))
    assert without_times(row.before) == AS_MADE
    assert without_times(row.after) == AS_MADE | body


def test_a_new_password_is_noted_and_not_told(admin: Caller, partner: Person, history: History) -> None:
    admin.patch(f"{USERS}{partner.id}", {"password": "the next one"})
    [row] = history.gained()
    assert row.after["passwordChanged"] is True
    assert "passwordChanged" not in row.before
    assert "the next one" not in str(row)
    assert "argon2" not in str(row)


def test_deleting_a_user_keeps_what_it_was(admin: Caller, partner: Person, history: History) -> None:
    admin.delete(f"{USERS}{partner.id}")
    [row] = history.gained()
    assert what(row) == ("delete", "user", str(partner.id))
    assert row.before["email"] == partner.email
    assert row.after is None


def test_revoking_tokens_is_noted(admin: Caller, partner: Person, history: History) -> None:
    admin.post(f"{USERS}{partner.id}/revoke_tokens")
    [row] = history.gained()
    assert what(row) == ("revoke_tokens", "user", str(partner.id))


def test_a_new_key_is_noted_and_not_told(admin: Caller, history: History) -> None:
    user_id = admin.post(USERS, {"email": "new@example.com"}).json["data"]["id"]
    history.gained()
    answer = admin.post(f"{USERS}{user_id}/access_tokens", {"expirationDate": "2999-12-31 23:59:59"})
    [row] = history.gained()
    assert what(row) == ("create", "api_key", str(answer.json["id"]))
    assert row.before is None
    assert (row.after["userId"], row.after["expiresAt"]) == (user_id, "2999-12-31T23:59:59.000000Z")
    assert answer.json["api_token"] not in str(row)


def test_rotating_a_key_is_noted_as_both(admin: Caller, partner: Person, history: History) -> None:
    place = f"{USERS}{partner.id}/access_tokens"
    old = admin.get(place).json["data"]["items"][0]["id"]
    new = admin.post(place, {"rotate": True}).json["id"]
    assert [what(row) for row in history.gained()] == [
        ("disable", "api_key", str(old)),
        ("create", "api_key", str(new)),
    ]


def test_disabling_a_key_keeps_what_it_was_and_is_noted_once(
    admin: Caller, partner: Person, history: History
) -> None:
    place = f"{USERS}{partner.id}/access_tokens"
    token_id = admin.get(place).json["data"]["items"][0]["id"]
    for _ in range(2):
        admin.delete(f"{place}/{token_id}")
    [row] = history.gained()
    assert what(row) == ("disable", "api_key", str(token_id))
    assert (row.before["isValid"], row.after) == (True, None)


REFUSED: dict[str, Callable[[Caller, Person, Person], int]] = {
    "an email that is taken": lambda c, a, p: c.post(USERS, {"email": p.email}).status_code,
    "no email": lambda c, a, p: c.post(USERS, {"email": "nobody"}).status_code,
    "a change that will not do": lambda c, a, p: c.patch(f"{USERS}{p.id}", {"isActive": 1}).status_code,
    "an email taken by a change": lambda c, a, p: c.patch(f"{USERS}{p.id}", {"email": a.email}).status_code,
    "nobody to change": lambda c, a, p: c.patch(f"{USERS}999", {"isActive": True}).status_code,
    "nobody to delete": lambda c, a, p: c.delete(f"{USERS}999").status_code,
    "the last admin": lambda c, a, p: c.delete(f"{USERS}{a.id}").status_code,
    "the last admin's role": lambda c, a, p: c.put(f"{USERS}{a.id}", {"email": a.email}).status_code,
    "nobody to revoke": lambda c, a, p: c.post(f"{USERS}999/revoke_tokens").status_code,
    "nobody to get a key": lambda c, a, p: c.post(f"{USERS}999/access_tokens", {}).status_code,
    "no such key": lambda c, a, p: c.delete(f"{USERS}{p.id}/access_tokens/999999").status_code,
    "a key that ended": lambda c, a, p: (
        c.post(f"{USERS}{p.id}/access_tokens", {"expirationDate": "2020-01-01 00:00:00"}).status_code
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_was_refused_is_not_noted(
    admin: Caller, admin_person: Person, partner: Person, history: History, why: str
) -> None:
    assert REFUSED[why](admin, admin_person, partner) in (400, 404, 409, 422)
    assert history.gained() == []


def test_what_a_partner_tries_is_not_noted(app: Flask, partner: Person, history: History) -> None:
    assert partner.calls(app).patch(f"{USERS}{partner.id}", {"roles": ["ROLE_ADMIN"]}).status_code == 403
    assert history.gained() == []


def test_a_key_that_is_valid_still_is_not_noted_again(
    admin: Caller, partner: Person, history: History
) -> None:
    assert admin.post(f"{USERS}{partner.id}/access_tokens", {}).status_code == 200
    assert history.gained() == []


def test_reading_is_not_noted(admin: Caller, partner: Person, history: History) -> None:
    for path in (USERS, f"{USERS}{partner.id}", f"{USERS}{partner.id}/access_tokens"):
        assert admin.get(path).status_code == 200
    assert history.gained() == []

"""There is always an active admin: neither one request nor two at the same time can remove the last."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select

from shared.identity import ROLE_ADMIN
from shared.keys import KeyRing
from shared.models import app_users
from tests.integration.calling import USERS, Caller, Person, add_admin, is_seed_error, new_app

ROUNDS = 20
WAYS_OUT: list[tuple[str, dict[str, Any] | None]] = [
    ("PATCH", {"isActive": False}),
    ("PATCH", {"roles": ["ROLE_API_CLIENT"]}),
    ("PUT", {"email": "someone@example.com"}),
    ("PUT", {"email": "someone@example.com", "roles": ["ROLE_ADMIN"], "isActive": False}),
    ("DELETE", None),
]


@pytest.fixture
def app(engine: Engine, keys: KeyRing) -> Flask:
    """The admin service."""
    return new_app("admin", engine, keys)


def active_admins(engine: Engine) -> list[int]:
    active = select(app_users.c.id, app_users.c.roles).where(
        app_users.c.is_active, app_users.c.deleted_at.is_(None)
    )
    with engine.connect() as connection:
        return [row.id for row in connection.execute(active) if ROLE_ADMIN in row.roles]


@pytest.mark.parametrize(("method", "body"), WAYS_OUT)
def test_the_last_active_admin_stays(
    engine: Engine, app: Flask, method: str, body: dict[str, Any] | None
) -> None:
    person = add_admin(engine)
    admin = person.calls(app)
    resting = add_admin(engine, "resting@example.com")
    admin.patch(f"{USERS}{resting.id}", {"isActive": False})
    before = admin.get(f"{USERS}{person.id}").json
    answer = admin.ask(method, f"{USERS}{person.id}", body)
    message = "The last active admin cannot be deactivated, deleted or demoted"
    assert is_seed_error(answer, 409, "Unprocessable", message)
    assert admin.get(f"{USERS}{person.id}").json == before


@pytest.mark.parametrize(("method", "body"), WAYS_OUT)
def test_an_admin_who_is_not_the_last_may_go(
    engine: Engine, app: Flask, method: str, body: dict[str, Any] | None
) -> None:
    person, other = add_admin(engine), add_admin(engine, "other@example.com")
    assert person.calls(app).ask(method, f"{USERS}{person.id}", body).status_code == 204
    assert active_admins(engine) == [other.id]


def test_of_two_admins_who_remove_each_other_at_the_same_time_one_succeeds(
    engine: Engine, keys: KeyRing
) -> None:
    apps = [new_app("admin", engine, keys) for _ in range(2)]
    stays = add_admin(engine)
    with ThreadPoolExecutor(2) as threads:
        for number in range(ROUNDS):
            pair = (stays, add_admin(engine, f"admin{number}@example.com"))
            callers = [person.calls(app) for person, app in zip(pair, apps, strict=True)]
            assert [caller.get(USERS).status_code for caller in callers] == [200, 200]
            both = threading.Barrier(2)
            removals = [
                threads.submit(remove, caller, other, number, both)
                for caller, other in zip(callers, reversed(pair), strict=True)
            ]
            assert sorted(removal.result() for removal in removals) == [204, 409]
            [left] = active_admins(engine)
            stays = next(person for person in pair if person.id == left)


def remove(admin: Caller, other: Person, number: int, both: threading.Barrier) -> int:
    method, body = WAYS_OUT[number % len(WAYS_OUT)]
    if body and "email" in body:
        body = body | {"email": other.email}
    both.wait(10)
    return admin.ask(method, f"{USERS}{other.id}", body).status_code

"""What will not do for a user is refused in the first seed's words (contract, sections 2 and 5)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from shared.keys import KeyRing
from tests.integration.calling import USERS, Caller, add_admin, created, is_seed_error, new_app

UNCHANGEABLE = ("id", "createdAt", "updatedAt")

FAULTS = [
    ({"isActive": "yes"}, "This value `isActive` should be of type bool."),
    ({"isActive": 1}, "This value `isActive` should be of type bool."),
    ({"isActive": None}, "This value `isActive` should not be null."),
    ({"email": 5}, "This value `email` should be of type string."),
    ({"email": None}, "This value `email` should not be null."),
    ({"email": "nobody"}, "This value `email` is not a valid email address."),
    ({"email": f"{'x' * 250}@example.com"}, None),
    ({"password": 12345678}, "This value `password` should be of type string."),
    ({"password": None}, "This value `password` should not be null."),
    ({"password": "1234567"}, None),
    ({"fullName": ["Ada"]}, "This value `fullName` should be of type string."),
    ({"fullName": "x" * 256}, None),
    ({"roles": "ROLE_ADMIN"}, "This value `roles` should be of type array."),
    ({"roles": []}, None),
    ({"roles": ["ROLE_ROOT"]}, None),
    ({"roles": [1]}, "This value `roles.0` should be of type string."),
    ({"roles": None}, "This value `roles` should not be null."),
    ({"description": {}}, "This value `description` should be of type string."),
    ({"sourceUrl": 1}, "This value `sourceUrl` should be of type string."),
    ({"rateLimitPerMinute": "5"}, "This value `rateLimitPerMinute` should be of type int."),
    ({"rateLimitPerMinute": 1.5}, "This value `rateLimitPerMinute` should be of type int."),
    ({"rateLimitPerMinute": True}, "This value `rateLimitPerMinute` should be of type int."),
    ({"rateLimitPerMinute": 0}, None),
    ({"rateLimitPerMinute": 10**9 + 1}, None),
    ({"shoeSize": 43}, "This value `shoeSize` is not known."),
    ({"id": 1}, "This value `id` is not known."),
    ({"tokenVersion": 1}, "This value `tokenVersion` is not known."),
]


@pytest.fixture
def admin(sqlite_engine: Engine, keys: KeyRing) -> Caller:
    return add_admin(sqlite_engine).calls(new_app("admin", sqlite_engine, keys))


@pytest.mark.parametrize(("fault", "message"), FAULTS, ids=[str(fault)[:40] for fault, _ in FAULTS])
def test_a_value_that_will_not_do_is_400_in_the_first_seeds_words(
    admin: Caller, fault: dict[str, Any], message: str | None
) -> None:
    user = created(admin)
    place = f"{USERS}{user['id']}"
    same = {name: value for name, value in user.items() if name not in UNCHANGEABLE}
    answers = [admin.patch(place, fault), admin.put(place, same | fault)]
    if "isActive" not in fault:
        answers.append(admin.post(USERS, {"email": "other@example.com"} | fault))
    [name] = fault
    for answer in answers:
        assert is_seed_error(answer, 400, "Invalid", message or answer.json["message"])
        assert f"`{name}" in answer.json["message"]
        assert {field.partition(".")[0] for field in answer.json["errors"]} == {name}
    assert admin.get(USERS).json["data"]["pagination"]["total"] == 2
    assert admin.get(place).json["data"] == user


def test_a_user_is_made_active_so_that_cannot_be_said(admin: Caller) -> None:
    answer = admin.post(USERS, {"email": "new@example.com"} | {"isActive": False})
    assert is_seed_error(answer, 400, "Invalid", "This value `isActive` is not known.")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_user_needs_an_email(admin: Caller, method: str) -> None:
    user = created(admin)
    path = USERS if method == "POST" else f"{USERS}{user['id']}"
    answer = admin.ask(method, path, {"fullName": "Ada"})
    assert is_seed_error(answer, 400, "Invalid", "This value `email` is missing.")


def test_every_field_at_fault_is_named(admin: Caller) -> None:
    answer = admin.post(USERS, {"email": "nobody", "roles": [], "fullName": 1, "shoeSize": 43})
    assert set(answer.json["errors"]) == {"email", "roles", "fullName", "shoeSize"}


@pytest.fixture
def production(sqlite_engine: Engine, keys: KeyRing) -> Caller:
    """An admin of a service in production."""
    return add_admin(sqlite_engine).calls(new_app("admin", sqlite_engine, keys, app_env="production"))


def test_production_takes_no_demo_password(production: Caller) -> None:
    user = created(production)
    for answer in (
        production.post(USERS, {"email": "other@example.com", "password": "password123"}),
        production.patch(f"{USERS}{user['id']}", {"password": "password123"}),
    ):
        assert is_seed_error(answer, 400, "Invalid", "This value `password` is the demo password.")

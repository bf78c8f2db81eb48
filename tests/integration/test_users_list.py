"""The list of users through HTTP: its pages, filters and keys (contract, section 5), on each database."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Engine

from shared.keys import KeyRing
from tests.integration.calling import (
    USERS,
    Caller,
    add_admin,
    add_partner,
    created,
    is_seed_error,
    new_app,
)


@pytest.fixture
def app(engine: Engine, keys: KeyRing) -> Flask:
    """The admin service."""
    return new_app("admin", engine, keys)


def emails(admin: Caller, query: str = "") -> list[str]:
    """The emails on a page of the list."""
    answer = admin.get(f"{USERS}?{query}")
    assert answer.status_code == 200, answer.text
    return [user["email"] for user in answer.json["data"]["items"]]


def test_the_list_has_pages_of_ten_in_the_order_in_which_users_were_made(admin: Caller) -> None:
    made = ["admin@example.com", *(created(admin, email=f"{n}@example.com")["email"] for n in range(11))]
    answer = admin.get(USERS)
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert {name: answer.json[name] for name in ("status", "code")} == {"status": "success", "code": 200}
    expected = {"page": 1, "limit": 10, "total": 12, "totalIsExact": True, "total_pages": 2}
    assert answer.json["data"]["pagination"] == expected
    assert emails(admin) == made[:10]
    assert emails(admin, "page=2") == made[10:]
    assert emails(admin, "page=3") == []
    assert emails(admin, "page=3&limit=5") == made[10:]
    assert emails(admin, "limit=100") == made


def test_the_list_shows_users_as_they_read_back(admin: Caller) -> None:
    user = created(admin, fullName="Zoë Ångström")
    assert admin.get(USERS).json["data"]["items"][1] == user


def test_the_list_is_there_without_its_slash_too(admin: Caller) -> None:
    assert admin.get(USERS.rstrip("/")).status_code == 200


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=ARTNER", ["partner@example.com"]),
        ("q=lovelace", ["ada@example.com"]),
        ("q=ÅNGSTRÖM", ["zoe@example.com"]),
        ("q=ángström", []),
        ("q=%", []),
        ("q=nobody", []),
        ("role=ROLE_ADMIN", ["admin@example.com", "zoe@example.com"]),
        ("role=ROLE_API_CLIENT", ["partner@example.com", "ada@example.com", "zoe@example.com"]),
        ("isActive=false", ["ada@example.com"]),
        ("isActive=true&role=ROLE_API_CLIENT", ["partner@example.com", "zoe@example.com"]),
        ("q=example&limit=1&page=2", ["partner@example.com"]),
    ],
)
def test_the_list_is_filtered(engine: Engine, admin: Caller, query: str, found: list[str]) -> None:
    add_partner(engine)
    ada = created(admin, email="ada@example.com", fullName="Ada Lovelace")
    admin.patch(f"{USERS}{ada['id']}", {"isActive": False})
    both = ["ROLE_API_CLIENT", "ROLE_ADMIN"]
    created(admin, email="zoe@example.com", fullName="Zoë Ångström", roles=both)
    assert emails(admin, query) == found


def test_the_total_is_that_of_the_filter(engine: Engine, admin: Caller) -> None:
    add_partner(engine)
    pagination = admin.get(f"{USERS}?role=ROLE_API_CLIENT&limit=1").json["data"]["pagination"]
    assert (pagination["total"], pagination["total_pages"]) == (1, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page", "0"),
        ("page", "x"),
        ("page", str(10**30)),
        ("limit", "0"),
        ("limit", "101"),
        ("role", "ROLE_ROOT"),
        ("isActive", "1"),
        ("include_access_tokens", "yes"),
        ("shoeSize", "43"),
    ],
)
def test_a_parameter_that_will_not_do_is_400_with_its_name(
    sqlite_engine: Engine, keys: KeyRing, name: str, value: str
) -> None:
    admin = add_admin(sqlite_engine).calls(new_app("admin", sqlite_engine, keys))
    answer = admin.get(f"{USERS}?{name}={value}")
    assert is_seed_error(answer, 400, "Invalid", answer.json["message"])
    assert f"`{name}`" in answer.json["message"]
    assert set(answer.json["errors"]) == {name}


def test_the_list_shows_what_is_known_of_keys_if_asked_to_and_never_a_key(
    engine: Engine, admin: Caller
) -> None:
    partner = add_partner(engine)
    silent = admin.get(USERS)
    assert all("accessTokens" not in user for user in silent.json["data"]["items"])
    answer = admin.get(f"{USERS}?include_access_tokens=true")
    of_users = {user["id"]: user["accessTokens"] for user in answer.json["data"]["items"]}
    assert [len(tokens) for tokens in of_users.values()] == [1, 1]
    [token] = of_users[partner.id]
    assert set(token) == {"id", "userId", "createdAt", "expiresAt", "disabledAt", "isValid"}
    assert (token["userId"], token["isValid"]) == (partner.id, True)
    assert partner.api_key not in answer.text

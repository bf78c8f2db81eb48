"""API keys through HTTP: every line of the contract's table (section 5) about them, on each database."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select, text

from shared.keys import KeyRing
from shared.models import app_user_api_keys, metadata
from shared.times import utc_now
from tests.factories import make_api_key, make_user
from tests.integration.calling import (
    USERS,
    Caller,
    Person,
    add_admin,
    add_partner,
    is_seed_error,
    new_app,
)

METADATA = {"id", "userId", "createdAt", "expiresAt", "disabledAt", "isValid"}
NOT_FOUND = (404, "Not found", "User not found")


@pytest.fixture
def app(engine: Engine, keys: KeyRing) -> Flask:
    """The admin service."""
    return new_app("admin", engine, keys)


@pytest.fixture
def admin_person(engine: Engine) -> Person:
    return add_admin(engine)


@pytest.fixture
def admin(app: Flask, admin_person: Person) -> Caller:
    return admin_person.calls(app)


@pytest.fixture
def user_id(engine: Engine) -> int:
    """A partner without a key."""
    return make_user(engine)


def tokens(user_id: int) -> str:
    return f"{USERS}{user_id}/access_tokens"


def issue(admin: Caller, user_id: int, **wanted: Any) -> str:
    """A new key."""
    answer = admin.post(tokens(user_id), wanted)
    assert answer.status_code == 201, answer.text
    return str(answer.json["api_token"])


def listed(admin: Caller, user_id: int) -> list[dict[str, Any]]:
    answer = admin.get(tokens(user_id))
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json["data"]["items"]
    return items


def status_with(app: Flask, api_key: str) -> int:
    """How a request with that key is answered."""
    return Caller(app, {"X-AUTH-Token": api_key}).get("/api/leads").status_code


def expiration(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


# --- issuing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [{}, {"expirationDate": None}, {"expirationDate": None, "rotate": False}])
def test_a_key_without_an_end_is_issued(
    app: Flask, admin: Caller, user_id: int, wanted: dict[str, Any]
) -> None:
    answer = admin.post(tokens(user_id), wanted)
    assert answer.status_code == 201
    assert {name: answer.json[name] for name in ("status", "expires_at")} == {
        "status": "Ok",
        "expires_at": None,
    }
    assert answer.headers["Cache-Control"] == "no-store"
    assert status_with(app, answer.json["api_token"]) == 200


def test_a_key_with_an_end_is_issued(app: Flask, admin: Caller, user_id: int) -> None:
    answer = admin.post(tokens(user_id), {"expirationDate": "2999-12-31 23:59:59"})
    assert answer.status_code == 201
    assert answer.json["expires_at"] == "2999-12-31T23:59:59.000000Z"
    assert status_with(app, answer.json["api_token"]) == 200


def test_a_key_works_until_it_expires(engine: Engine, app: Flask, user_id: int) -> None:
    now = utc_now()
    good = make_api_key(engine, user_id, expires_at=now + timedelta(minutes=1))
    over = make_api_key(engine, user_id, expires_at=now - timedelta(seconds=1))
    assert [status_with(app, key) for key in (good, over)] == [200, 401]


def test_keys_are_long_and_never_the_same(engine: Engine, admin: Caller) -> None:
    keys = {issue(admin, make_user(engine, f"{n}@example.com")) for n in range(3)}
    assert len(keys) == 3
    assert all(len(key) >= 40 for key in keys)


def test_while_a_key_is_valid_its_metadata_is_the_answer(app: Flask, admin: Caller, user_id: int) -> None:
    first = admin.post(tokens(user_id), {"expirationDate": "2999-12-31 23:59:59"})
    again = admin.post(tokens(user_id), {"expirationDate": "2500-01-01 00:00:00"})
    assert again.status_code == 200
    assert again.json == first.json | {"api_token": None}
    assert len(listed(admin, user_id)) == 1
    assert status_with(app, first.json["api_token"]) == 200


@pytest.mark.parametrize("end", ["expired", "disabled"])
def test_a_key_that_is_valid_no_more_is_followed_by_a_new_one(
    engine: Engine, app: Flask, admin: Caller, user_id: int, end: str
) -> None:
    then = utc_now() - timedelta(seconds=1)
    old = make_api_key(
        engine,
        user_id,
        expires_at=then if end == "expired" else None,
        disabled_at=then if end == "disabled" else None,
    )
    new = issue(admin, user_id)
    assert [status_with(app, key) for key in (old, new)] == [401, 200]
    assert [token["isValid"] for token in listed(admin, user_id)] == [False, True]


def test_rotating_disables_the_old_key_and_makes_a_new_one(app: Flask, admin: Caller, user_id: int) -> None:
    old = issue(admin, user_id)
    new = issue(admin, user_id, rotate=True)
    assert [token["isValid"] for token in listed(admin, user_id)] == [False, True]
    assert [status_with(app, key) for key in (new, old)] == [200, 401]


def test_rotating_without_a_key_makes_the_first_one(app: Flask, admin: Caller, user_id: int) -> None:
    assert status_with(app, issue(admin, user_id, rotate=True)) == 200


def test_an_admin_may_rotate_the_key_it_shows(app: Flask, admin: Caller, admin_person: Person) -> None:
    new = issue(admin, admin_person.id, rotate=True)
    assert Caller(app, {"X-AUTH-Token": new}).get(USERS).status_code == 200


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"expirationDate": "2020-01-01 00:00:00"}, "This value `expirationDate` lies in the past."),
        pytest.param(
            {"expirationDate": expiration(datetime.now(UTC))},
            "This value `expirationDate` lies in the past.",
            id="now",
        ),
        ({"expirationDate": "tomorrow"}, None),
        ({"expirationDate": "2999-02-30 00:00:00"}, None),
        ({"expirationDate": "2999-12-31"}, None),
        ({"expirationDate": "2999-12-31T23:59:59Z"}, None),
        ({"expirationDate": 32503679999}, None),
        ({"expirationDate": ""}, None),
        ({"rotate": "true"}, "This value `rotate` should be of type bool."),
        ({"rotate": None}, "This value `rotate` should not be null."),
        ({"shoeSize": 43}, "This value `shoeSize` is not known."),
    ],
    ids=str,
)
def test_a_wish_that_will_not_do_is_400_and_makes_no_key(
    sqlite_engine: Engine, keys: KeyRing, fault: dict[str, Any], message: str | None
) -> None:
    admin = add_admin(sqlite_engine).calls(new_app("admin", sqlite_engine, keys))
    user_id = make_user(sqlite_engine)
    answer = admin.post(tokens(user_id), fault)
    expected = message or ("This value `expirationDate` is not a valid time (YYYY-MM-DD HH:MM:SS).")
    assert is_seed_error(answer, 400, "Invalid", expected)
    assert set(answer.json["errors"]) == set(fault)
    assert listed(admin, user_id) == []


def test_an_inactive_user_gets_no_key(admin: Caller, user_id: int) -> None:
    admin.patch(f"{USERS}{user_id}", {"isActive": False})
    assert is_seed_error(admin.post(tokens(user_id), {}), *NOT_FOUND)
    assert is_seed_error(admin.post(tokens(user_id), {"rotate": True}), *NOT_FOUND)
    assert listed(admin, user_id) == []


@pytest.mark.parametrize("user_id", [999, 2**63])
def test_a_user_who_is_not_there_has_no_keys(admin: Caller, user_id: int) -> None:
    for answer in (
        admin.post(tokens(user_id), {}),
        admin.get(tokens(user_id)),
        admin.delete(f"{tokens(user_id)}/1"),
    ):
        assert is_seed_error(answer, *NOT_FOUND)


def test_a_deleted_user_has_no_keys(admin: Caller, user_id: int) -> None:
    issue(admin, user_id)
    admin.delete(f"{USERS}{user_id}")
    assert is_seed_error(admin.post(tokens(user_id), {}), *NOT_FOUND)
    assert is_seed_error(admin.get(tokens(user_id)), *NOT_FOUND)


# --- listing and disabling ----------------------------------------------------------------------------


def test_the_list_shows_what_is_known_of_each_key_and_no_key(admin: Caller, user_id: int) -> None:
    old = issue(admin, user_id, expirationDate="2999-12-31 23:59:59")
    new = issue(admin, user_id, rotate=True)
    answer = admin.get(tokens(user_id))
    assert answer.headers["Cache-Control"] == "private, no-cache"
    first, second = answer.json["data"]["items"]
    assert set(first) == set(second) == METADATA
    assert first["id"] < second["id"]
    assert [token["userId"] for token in (first, second)] == [user_id] * 2
    assert (first["expiresAt"], second["expiresAt"]) == ("2999-12-31T23:59:59.000000Z", None)
    assert first["disabledAt"] >= first["createdAt"]
    assert second["disabledAt"] is None
    assert answer.json["data"]["pagination"]["total"] == 2
    assert old not in answer.text
    assert new not in answer.text


def test_the_list_shows_that_a_key_has_expired(engine: Engine, admin: Caller, user_id: int) -> None:
    make_api_key(engine, user_id, expires_at=utc_now() - timedelta(seconds=1))
    [token] = listed(admin, user_id)
    assert (token["isValid"], token["disabledAt"]) == (False, None)


def test_a_disabled_key_works_no_more_and_stays_listed(app: Flask, admin: Caller, user_id: int) -> None:
    key = issue(admin, user_id)
    [token] = listed(admin, user_id)
    answer = admin.delete(f"{tokens(user_id)}/{token['id']}")
    assert (answer.status_code, answer.data) == (204, b"")
    assert status_with(app, key) == 401
    [after] = listed(admin, user_id)
    assert after["isValid"] is False
    assert after["disabledAt"] is not None


def test_disabling_a_key_again_changes_nothing(admin: Caller, user_id: int) -> None:
    issue(admin, user_id)
    place = f"{tokens(user_id)}/{listed(admin, user_id)[0]['id']}"
    admin.delete(place)
    before = listed(admin, user_id)
    assert admin.delete(place).status_code == 204
    assert listed(admin, user_id) == before


@pytest.mark.parametrize("of", ["nobody", "the sky", "somebody else"])
def test_a_key_that_the_user_does_not_have_is_404(
    engine: Engine, app: Flask, admin: Caller, user_id: int, of: str
) -> None:
    other = add_partner(engine, "other@example.com")
    foreign = listed(admin, other.id)[0]["id"]
    token_id = {"nobody": 999_999, "the sky": 2**63, "somebody else": foreign}[of]
    answer = admin.delete(f"{tokens(user_id)}/{token_id}")
    assert is_seed_error(answer, 404, "Not found", "Access token not found")
    assert status_with(app, other.api_key) == 200


def test_only_the_hash_of_a_key_is_in_the_database(engine: Engine, admin: Caller, user_id: int) -> None:
    key = issue(admin, user_id)
    with engine.connect() as connection:
        stored = connection.scalar(
            select(app_user_api_keys.c.key_hash).where(app_user_api_keys.c.user_id == user_id)
        )
        everything = [
            str(value).encode() if not isinstance(value, bytes) else value
            for table in metadata.sorted_tables
            for row in connection.execute(text(f"SELECT * FROM {table.name}"))
            for value in row
        ]
    assert stored == hashlib.sha256(key.encode()).digest()
    assert not any(key.encode() in value for value in everything)


def test_without_a_body_a_key_is_made_that_does_not_expire(admin: Caller, user_id: int) -> None:
    answer = admin.post(tokens(user_id))
    assert answer.status_code == 201, answer.text
    assert answer.json["api_token"]
    assert answer.json["expires_at"] is None

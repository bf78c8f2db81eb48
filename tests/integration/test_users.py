"""Users through HTTP: every line of the contract's table (section 5) about them, on each database."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select

from shared.keys import KeyRing
from shared.models import app_user_api_keys, app_users
from tests.factories import PASSWORD, make_batch, make_lead, make_writer
from tests.integration.calling import (
    USERS,
    Caller,
    Person,
    add_admin,
    add_partner,
    created,
    is_seed_error,
    log_in,
    new_app,
    token_of,
)

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
NEW = {"email": "new@example.com"}
EVERY_FIELD: dict[str, Any] = {
    "email": "Zoë.Ångström@example.com",
    "fullName": "Zoë Ångström 😀",
    "roles": ["ROLE_ADMIN", "ROLE_API_CLIENT"],
    "description": "Sends leads\nfrom the fair.",
    "sourceUrl": "https://example.com/leads?a=b",
    "rateLimitPerMinute": 1_000_000_000,
}
UNKNOWN_IDS = [999, 0, 2**63, 10**30]
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


def read(admin: Caller, user_id: int) -> dict[str, Any]:
    answer = admin.get(f"{USERS}{user_id}")
    assert answer.status_code == 200, answer.text
    user: dict[str, Any] = answer.json["data"]
    return user


def user_body(user: dict[str, Any]) -> dict[str, Any]:
    """What a PUT sends to leave the user as it is."""
    return {name: value for name, value in user.items() if name not in ("id", "createdAt", "updatedAt")}


# --- creating and reading -----------------------------------------------------------------------------


def test_a_new_user_is_answered_with_its_place_and_reads_back_there(admin: Caller) -> None:
    answer = admin.post(USERS, EVERY_FIELD | {"password": PASSWORD})
    assert answer.status_code == 201
    body = answer.json
    assert {name: body[name] for name in ("status", "code")} == {"status": "success", "code": 201}
    user = body["data"]
    assert answer.headers["Location"] == f"/admin/api/user/{user['id']}"
    there = admin.get(answer.headers["Location"])
    assert there.status_code == 200
    assert there.headers["Cache-Control"] == "private, no-cache"
    assert there.json["data"] == user


def test_a_user_has_the_fields_it_was_made_with_and_no_secret(admin: Caller) -> None:
    user = created(admin, **EVERY_FIELD, password=PASSWORD)
    times = {user.pop("createdAt"), user.pop("updatedAt")}
    assert all(TIME.fullmatch(moment) for moment in times)
    assert isinstance(user.pop("id"), int)
    assert user == EVERY_FIELD | {"isActive": True}


def test_a_user_of_whom_only_the_email_is_said_is_an_active_partner(admin: Caller) -> None:
    user = created(admin)
    assert (user["roles"], user["isActive"]) == (["ROLE_API_CLIENT"], True)
    others = ("fullName", "description", "sourceUrl", "rateLimitPerMinute")
    assert [user[name] for name in others] == [None] * 4


def test_a_new_user_signs_in_with_its_password(app: Flask, admin: Caller) -> None:
    created(admin, password="a new password")
    assert log_in(app, "new@example.com", "a new password").status_code == 200
    assert log_in(app, "new@example.com", "another one").status_code == 401


def test_a_user_without_a_password_does_not_log_in(app: Flask, admin: Caller) -> None:
    created(admin)
    assert log_in(app, "new@example.com", "").status_code == 401


@pytest.mark.parametrize(
    "taken", ["partner@example.com", "PARTNER@Example.com", "ｐａｒｔｎｅｒ@example.com"]
)
def test_an_email_that_is_taken_is_422_however_it_is_written(
    engine: Engine, admin: Caller, taken: str
) -> None:
    add_partner(engine, "partner@example.com")
    answer = admin.post(USERS, {"email": taken})
    assert is_seed_error(answer, 422, "Unprocessable", "This value `email` is the email of another user.")
    assert set(answer.json["errors"]) == {"email"}


def test_an_email_that_differs_in_an_accent_is_another_one(engine: Engine, admin: Caller) -> None:
    add_partner(engine, "jose@example.com")
    assert admin.post(USERS, {"email": "josé@example.com"}).status_code == 201


def test_an_email_that_is_taken_is_422_in_a_change_too(engine: Engine, admin: Caller) -> None:
    add_partner(engine, "partner@example.com")
    user = created(admin)
    for answer in (
        admin.patch(f"{USERS}{user['id']}", {"email": "Partner@example.com"}),
        admin.put(f"{USERS}{user['id']}", {"email": "Partner@example.com"}),
    ):
        assert is_seed_error(answer, 422, "Unprocessable", "This value `email` is the email of another user.")
    assert read(admin, user["id"]) == user


def test_a_user_may_write_its_own_email_differently(app: Flask, admin: Caller) -> None:
    user = created(admin, password=PASSWORD)
    assert admin.patch(f"{USERS}{user['id']}", {"email": "NEW@example.com"}).status_code == 204
    assert read(admin, user["id"])["email"] == "NEW@example.com"
    assert log_in(app, "new@example.com").status_code == 200


# --- changing -----------------------------------------------------------------------------------------


def test_put_replaces_a_user(admin: Caller) -> None:
    user = created(admin, **EVERY_FIELD)
    answer = admin.put(f"{USERS}{user['id']}", {"email": "other@example.com", "fullName": "Other"})
    assert (answer.status_code, answer.data) == (204, b"")
    replaced = read(admin, user["id"])
    assert user_body(replaced) == {
        "email": "other@example.com",
        "fullName": "Other",
        "roles": ["ROLE_API_CLIENT"],
        "description": None,
        "sourceUrl": None,
        "rateLimitPerMinute": None,
        "isActive": True,
    }
    assert (replaced["id"], replaced["createdAt"]) == (user["id"], user["createdAt"])
    assert replaced["updatedAt"] > user["updatedAt"]


def test_put_leaves_a_password_that_it_does_not_name(app: Flask, admin: Caller) -> None:
    user = created(admin, password=PASSWORD)
    assert admin.put(f"{USERS}{user['id']}", NEW).status_code == 204
    assert log_in(app, "new@example.com", PASSWORD).status_code == 200


def test_put_replaces_a_password_that_it_names(app: Flask, admin: Caller) -> None:
    user = created(admin, password=PASSWORD)
    assert admin.put(f"{USERS}{user['id']}", NEW | {"password": "the next one"}).status_code == 204
    assert log_in(app, "new@example.com", PASSWORD).status_code == 401
    assert log_in(app, "new@example.com", "the next one").status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"email": "other@example.com"},
        {"fullName": None},
        {"roles": ["ROLE_API_CLIENT"]},
        {"description": "x" * 10_000},
        {"sourceUrl": None},
        {"rateLimitPerMinute": None},
        {"rateLimitPerMinute": 1},
        {"isActive": False},
        {},
    ],
    ids=str,
)
def test_patch_changes_what_it_names_and_nothing_else(admin: Caller, change: dict[str, Any]) -> None:
    user = created(admin, **EVERY_FIELD)
    answer = admin.patch(f"{USERS}{user['id']}", change)
    assert (answer.status_code, answer.data) == (204, b"")
    assert user_body(read(admin, user["id"])) == user_body(user) | change


def test_a_user_who_is_activated_again_signs_in_again(app: Flask, admin: Caller) -> None:
    user = created(admin, password=PASSWORD)
    admin.patch(f"{USERS}{user['id']}", {"isActive": False})
    assert log_in(app, "new@example.com").status_code == 401
    admin.patch(f"{USERS}{user['id']}", {"isActive": True})
    assert log_in(app, "new@example.com").status_code == 200


@pytest.mark.parametrize("user_id", UNKNOWN_IDS)
def test_a_user_who_is_not_there_is_404(admin: Caller, user_id: int) -> None:
    place = f"{USERS}{user_id}"
    for answer in (
        admin.get(place),
        admin.put(place, NEW),
        admin.patch(place, {}),
        admin.delete(place),
        admin.post(f"{place}/revoke_tokens"),
    ):
        assert is_seed_error(answer, *NOT_FOUND)


# --- deleting -----------------------------------------------------------------------------------------


def test_a_deleted_user_is_found_no_more(admin: Caller) -> None:
    user = created(admin)
    answer = admin.delete(f"{USERS}{user['id']}")
    assert (answer.status_code, answer.data) == (204, b"")
    place = f"{USERS}{user['id']}"
    for answer in (admin.get(place), admin.patch(place, {"isActive": True}), admin.delete(place)):
        assert is_seed_error(answer, *NOT_FOUND)
    for query in ("", "?isActive=false"):
        assert user["id"] not in [listed["id"] for listed in admin.get(USERS + query).json["data"]["items"]]


def test_a_deleted_users_row_stays_without_a_way_in(engine: Engine, app: Flask, admin: Caller) -> None:
    partner = add_partner(engine)
    admin.delete(f"{USERS}{partner.id}")
    with engine.connect() as connection:
        row = connection.execute(select(app_users).where(app_users.c.id == partner.id)).one()
        [key] = connection.execute(
            select(app_user_api_keys).where(app_user_api_keys.c.user_id == partner.id)
        ).all()
    assert row.email == partner.email
    assert row.deleted_at is not None
    assert key.disabled_at is not None
    assert log_in(app, partner.email).status_code == 401
    assert partner.calls(app).get("/api/leads").status_code == 401


def test_a_deleted_users_leads_stay(engine: Engine, admin: Caller) -> None:
    partner = add_partner(engine)
    lead = make_lead(client_id=partner.id)
    make_writer(engine).write([(make_batch([lead]), 0)])
    admin.delete(f"{USERS}{partner.id}")
    data = admin.get(f"/api/leads/{lead.id}").json["data"]
    assert (data["clientId"], data["clientEmail"]) == (partner.id, partner.email)
    assert admin.get("/api/leads").json["data"]["pagination"]["total"] == 1


def test_a_deleted_users_email_is_free_for_somebody_else(engine: Engine, app: Flask, admin: Caller) -> None:
    partner = add_partner(engine)
    make_writer(engine).write([(make_batch([make_lead(client_id=partner.id)]), 0)])
    admin.delete(f"{USERS}{partner.id}")
    user = created(admin, email=partner.email, password="the next one")
    assert user["id"] != partner.id
    assert log_in(app, partner.email, PASSWORD).status_code == 401
    successor = Caller(app, {"Authorization": f"Bearer {token_of(app, partner.email, 'the next one')}"})
    assert successor.get("/api/leads").json["data"]["items"] == []

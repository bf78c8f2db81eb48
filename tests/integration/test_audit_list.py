"""Reading who changed what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import Engine, insert

from shared.database import writing
from shared.keys import KeyRing
from shared.models import audit_log
from tests.integration.calling import (
    USERS,
    Caller,
    Person,
    add_admin,
    add_partner,
    created,
    is_error,
    new_app,
)

PATH = "/admin/api/audit"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def app(engine: Engine, keys: KeyRing) -> Flask:
    """The admin service."""
    return new_app("admin", engine, keys)


@pytest.fixture
def small_app(sqlite_engine: Engine, keys: KeyRing) -> Flask:
    """The same, on SQLite only."""
    return new_app("admin", sqlite_engine, keys)


def ask(admin: Caller, **query: Any) -> dict[str, Any]:
    if "from_" in query:
        query["from"] = query.pop("from_")
    answer = admin.get(f"{PATH}?{urlencode(query)}")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json["data"]
    return data


def note(
    engine: Engine, person: Person | None, action: str, target: str, target_id: int, minute: int
) -> None:
    """A change that was made so many minutes after noon."""
    at = NOON + timedelta(minutes=minute)
    row = {"at": at, "actor_id": person and person.id, "action": action, "target": target}
    with writing(engine).begin() as connection:
        connection.execute(insert(audit_log).values(**row, target_id=str(target_id)))


def test_a_change_is_shown_with_who_made_it_and_what_it_changed(app: Flask, engine: Engine) -> None:
    person = add_admin(engine)
    admin = person.calls(app)
    user = created(admin, email="new@example.com")
    assert admin.patch(f"{USERS}{user['id']}", {"fullName": "Ada"}).status_code == 204

    update, creation, *_ = ask(admin)["items"]

    assert (creation["action"], update["action"]) == ("create", "update")
    for change in (creation, update):
        assert (change["actorId"], change["actorEmail"]) == (person.id, person.email)
        assert (change["target"], change["targetId"]) == ("user", str(user["id"]))
        assert change["address"] == "127.0.0.1"
        assert change["requestId"]
    assert (creation["before"], creation["after"]["email"]) == (None, "new@example.com")
    assert (update["before"]["fullName"], update["after"]["fullName"]) == (None, "Ada")


def test_what_a_command_did_has_no_actor(small_app: Flask, sqlite_engine: Engine) -> None:
    admin = add_admin(sqlite_engine).calls(small_app)

    newest = ask(admin)["items"][0]

    assert (newest["target"], newest["actorId"], newest["actorEmail"]) == ("user", None, None)


@pytest.fixture
def people(sqlite_engine: Engine) -> list[Person]:
    """Two admins, who have made five changes."""
    ada, bob = add_admin(sqlite_engine, "ada@example.com"), add_admin(sqlite_engine, "bob@example.com")
    note(sqlite_engine, ada, "create", "lead", 7, minute=0)
    note(sqlite_engine, bob, "delete", "lead", 7, minute=1)
    note(sqlite_engine, ada, "delete", "lead", 8, minute=2)
    note(sqlite_engine, None, "create", "report", 7, minute=3)
    note(sqlite_engine, bob, "create", "report", 9, minute=4)
    return [ada, bob]


@pytest.mark.parametrize(
    ("query", "minutes"),
    [
        ({"target": "lead"}, [2, 1, 0]),
        ({"target": "lead", "targetId": "7"}, [1, 0]),
        ({"target": "report", "action": "create"}, [4, 3]),
        ({"action": "delete"}, [2, 1]),
        ({"from_": "2026-06-01T12:01:00Z", "to": "2026-06-01T12:03:00Z"}, [2, 1]),
        ({"target": "nothing"}, []),
    ],
)
def test_changes_are_filtered_and_the_newest_come_first(
    small_app: Flask, people: list[Person], query: dict[str, str], minutes: list[int]
) -> None:
    data = ask(people[0].calls(small_app), **query)

    moments = [f"2026-06-01T12:0{minute}:00.000000Z" for minute in minutes]
    assert [item["at"] for item in data["items"]] == moments
    assert data["pagination"]["total"] == len(minutes)


def test_the_changes_of_one_actor_may_be_asked_for(small_app: Flask, people: list[Person]) -> None:
    ada, bob = people

    data = ask(ada.calls(small_app), actorId=bob.id)

    assert [(item["actorEmail"], item["targetId"]) for item in data["items"]] == [
        ("bob@example.com", "9"),
        ("bob@example.com", "7"),
    ]


def test_pages_follow_each_other(small_app: Flask, people: list[Person]) -> None:
    admin = people[0].calls(small_app)

    pages = [ask(admin, page=page, limit=2, to="2026-06-02") for page in (1, 2, 3)]

    assert [item["at"][14:16] for page in pages for item in page["items"]] == ["04", "03", "02", "01", "00"]
    assert pages[0]["pagination"]["total_pages"] == 3


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"actorId": "me"}, "actorId"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-06-02", "to": "2026-06-01"}, "to"),
        ({"limit": "101"}, "limit"),
        ({"who": "ada"}, "who"),
    ],
)
def test_a_parameter_that_will_not_do_is_named(
    small_app: Flask, people: list[Person], query: dict[str, str], named: str
) -> None:
    answer = people[0].calls(small_app).get(f"{PATH}?{urlencode(query)}")

    assert is_error(answer, 400, "Validation failed")
    assert set(answer.json["errors"]) == {named}


def test_a_partner_is_told_nothing(small_app: Flask, sqlite_engine: Engine) -> None:
    answer = add_partner(sqlite_engine).calls(small_app).get(PATH)

    assert is_error(answer, 403, "Access denied")

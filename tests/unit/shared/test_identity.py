"""Users and keys in memory: how soon a change is seen, and what holds while the database is gone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, update

from shared.database import open_database, writing
from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT, Identity, User, hash_of_key, identity_changed
from shared.migrations import upgrade
from shared.models import app_user_api_keys, app_users
from tests.factories import NOON, PASSWORD_HASH, make_api_key, make_user
from tests.waiting import wait_until


@pytest.fixture
def identity(sqlite_engine: Engine) -> Identity:
    return Identity(sqlite_engine, now=lambda: NOON)


def change(engine: Engine, statement: Any) -> None:
    """Runs a statement the way the admin service does."""
    with writing(engine).begin() as connection:
        connection.execute(statement)
        identity_changed(connection)


def selects(engine: Engine) -> list[str]:
    """Every statement that `engine` runs from now on."""
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    return statements


def test_a_user_is_known_by_id_and_email(sqlite_engine: Engine, identity: Identity) -> None:
    user_id = make_user(sqlite_engine, "Zoë@Example.com", roles=(ROLE_ADMIN,))
    assert identity.user(user_id) == User(
        user_id, "Zoë@Example.com", frozenset([ROLE_ADMIN]), PASSWORD_HASH, None, 1
    )
    assert identity.user_by_email("zoe\u0308@EXAMPLE.com") == identity.user(user_id)
    assert identity.user_by_email("zoe@example.com") is None


def test_an_admin_may_do_all_that_a_partner_may(sqlite_engine: Engine, identity: Identity) -> None:
    partner = identity.user(make_user(sqlite_engine, "a@example.com"))
    admin = identity.user(make_user(sqlite_engine, "b@example.com", roles=(ROLE_ADMIN,)))
    nobody = identity.user(make_user(sqlite_engine, "c@example.com", roles=()))
    assert partner
    assert admin
    assert nobody
    assert [user.may(ROLE_API_CLIENT) for user in (partner, admin, nobody)] == [True, True, False]
    assert [user.may(ROLE_ADMIN) for user in (partner, admin, nobody)] == [False, True, False]


def test_a_new_user_and_a_new_key_work_at_once(sqlite_engine: Engine, identity: Identity) -> None:
    identity.refresh()
    user_id = make_user(sqlite_engine)
    assert identity.user(user_id)
    user = identity.user_of_key(make_api_key(sqlite_engine, user_id))
    assert user
    assert user.id == user_id


def test_known_users_and_keys_are_found_without_the_database(
    sqlite_engine: Engine, identity: Identity
) -> None:
    user_id = make_user(sqlite_engine)
    key = make_api_key(sqlite_engine, user_id)
    identity.refresh()
    statements = selects(sqlite_engine)
    assert identity.user(user_id)
    assert identity.user_by_email("partner@example.com")
    assert identity.user_of_key(key)
    assert statements == []


def test_a_look_for_changes_reads_the_users_only_if_there_are_any(
    sqlite_engine: Engine, identity: Identity
) -> None:
    make_user(sqlite_engine)
    identity.refresh()
    statements = selects(sqlite_engine)
    identity.refresh()
    assert len([statement for statement in statements if "app_users" in statement]) == 0
    assert len([statement for statement in statements if "identity_version" in statement]) == 1


@pytest.mark.parametrize("values", [{"is_active": False}, {"deleted_at": NOON, "email_key": None}])
def test_a_user_who_is_deactivated_or_deleted_is_nobody(
    sqlite_engine: Engine, identity: Identity, values: dict[str, Any]
) -> None:
    user_id = make_user(sqlite_engine)
    key = make_api_key(sqlite_engine, user_id)
    assert identity.user_of_key(key)
    change(sqlite_engine, update(app_users).values(**values))
    identity.refresh()
    assert identity.user(user_id) is None
    assert identity.user_by_email("partner@example.com") is None
    assert identity.user_of_key(key) is None


def test_other_roles_and_limits_are_seen(sqlite_engine: Engine, identity: Identity) -> None:
    user_id = make_user(sqlite_engine)
    assert identity.user(user_id)
    change(
        sqlite_engine, update(app_users).values(roles=[ROLE_ADMIN], rate_limit_per_minute=5, token_version=2)
    )
    identity.refresh()
    user = identity.user(user_id)
    assert user
    assert (user.roles, user.rate_limit_per_minute, user.token_version) == (
        frozenset([ROLE_ADMIN]),
        5,
        2,
    )


def test_a_key_is_good_until_it_expires(sqlite_engine: Engine, identity: Identity) -> None:
    user_id = make_user(sqlite_engine)
    just_good = make_api_key(sqlite_engine, user_id, expires_at=NOON + timedelta(microseconds=1))
    just_expired = make_api_key(sqlite_engine, user_id, expires_at=NOON)
    assert identity.user_of_key(just_good)
    assert identity.user_of_key(just_expired) is None


def test_a_disabled_or_unknown_key_is_nobodys(sqlite_engine: Engine, identity: Identity) -> None:
    disabled = make_api_key(sqlite_engine, make_user(sqlite_engine), disabled_at=NOON)
    for key in (disabled, "unknown", "", "ä" * 1000):
        assert identity.user_of_key(key) is None


def test_a_key_that_is_disabled_or_removed_stops_working(sqlite_engine: Engine, identity: Identity) -> None:
    user_id = make_user(sqlite_engine)
    disabled, removed = make_api_key(sqlite_engine, user_id), make_api_key(sqlite_engine, user_id)
    assert identity.user_of_key(disabled)
    keys = app_user_api_keys
    change(
        sqlite_engine, update(keys).where(keys.c.key_hash == hash_of_key(disabled)).values(disabled_at=NOON)
    )
    change(sqlite_engine, delete(keys).where(keys.c.key_hash == hash_of_key(removed)))
    identity.refresh()
    assert identity.user_of_key(disabled) is None
    assert identity.user_of_key(removed) is None


def test_while_the_database_is_gone_the_last_known_users_hold(tmp_path: Path) -> None:
    path = tmp_path / "leads.sqlite3"
    engine = open_database(f"sqlite:///{path}")
    upgrade(engine)
    user_id = make_user(engine)
    identity = Identity(engine)
    identity.refresh()
    engine.dispose()
    for file in tmp_path.iterdir():
        file.unlink()
    path.mkdir()  # SQLite cannot open a folder
    identity.refresh()
    assert identity.user(user_id)
    assert identity.user(user_id + 1) is None
    assert identity.is_loaded()
    engine.dispose()


def test_users_count_as_loaded_once_they_were_read(sqlite_engine: Engine, identity: Identity) -> None:
    assert not identity.is_loaded()
    identity.refresh()
    assert identity.is_loaded()


def test_a_started_identity_sees_a_change_by_itself(sqlite_engine: Engine, identity: Identity) -> None:
    user_id = make_user(sqlite_engine)
    identity.start()
    try:
        assert identity.user(user_id)
        change(sqlite_engine, update(app_users).values(is_active=False))
        wait_until(lambda: identity.user(user_id) is None, "the user is nobody")
    finally:
        identity.stop()

"""The operator's commands for users and keys (contract, section 7)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import Engine, Row, select

from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT
from shared.keys import KeyRing
from shared.models import app_user_api_keys, app_users, audit_log
from shared.times import utc_now
from tests.factories import PASSWORD, make_api_key, make_user
from tests.integration.calling import USERS, Caller, add_admin, add_partner, log_in, new_app

NEW = "new@example.com"
COMMANDS = [
    ["create-user"],
    ["create-client-apikey"],
    ["rotate-jwt-keys"],
    ["reconcile"],
    ["db"],
    ["db", "upgrade"],
]


@pytest.fixture
def app(engine: Engine, keys: KeyRing) -> Flask:
    """The admin service, which has the commands."""
    return new_app("admin", engine, keys)


@pytest.fixture
def small_app(sqlite_engine: Engine, keys: KeyRing) -> Flask:
    """The same, on SQLite only."""
    return new_app("admin", sqlite_engine, keys)


@pytest.fixture
def production(sqlite_engine: Engine, keys: KeyRing) -> Flask:
    """The same in production."""
    return new_app("admin", sqlite_engine, keys, app_env="production")


def run(app: Flask, *arguments: str, typed: str = "") -> Result:
    return app.test_cli_runner().invoke(args=list(arguments), input=typed)


def succeeds(result: Result) -> bool:
    assert result.exit_code == 0, result.output
    return True


def is_one_line(result: Result, *words: str) -> bool:
    """Whether it failed, with one line that has these words."""
    assert result.exit_code != 0
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert all(word in line for word in words), line
    return True


def user(engine: Engine, email: str = NEW) -> Row[Any]:
    with engine.connect() as connection:
        return connection.execute(select(app_users).where(app_users.c.email == email)).one()


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return len(connection.execute(select(app_users)).all())


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_says_how_it_is_used(small_app: Flask, command: list[str]) -> None:
    result = run(small_app, *command, "--help")
    assert succeeds(result)
    assert result.stdout.startswith("Usage:")
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create-user"], ["EMAIL"]),
        (["create-user", "nobody"], ["EMAIL", "'nobody'"]),
        (["create-user", f"{'x' * 250}@example.com"], ["EMAIL", "255"]),
        (["create-user", NEW, "--role", "ROLE_ROOT"], ["--role", "ROLE_ROOT", "ROLE_ADMIN"]),
        (["create-user", NEW, "--shoe-size", "43"], ["--shoe-size"]),
        (["create-user", NEW, PASSWORD, "more"], ["more"]),
        (["create-client-apikey"], ["EMAIL"]),
        (["create-client-apikey", "nobody"], ["EMAIL", "'nobody'"]),
        (["create-client-apikey", NEW, "--expires-after-days", "0"], ["--expires-after-days"]),
        (["create-client-apikey", NEW, "--expires-after-days", "soon"], ["--expires-after-days"]),
        (["create-client-apikey", NEW, "--role", "x"], ["--role"]),
        (["rotate-jwt-keys", "now"], ["now"]),
        (["db", "downgrade"], ["downgrade"]),
    ],
    ids=lambda value: " ".join(value)[:50],
)
def test_a_wrong_use_is_one_line(
    small_app: Flask, sqlite_engine: Engine, arguments: list[str], words: list[str]
) -> None:
    result = run(small_app, *arguments)
    assert is_one_line(result, *words)
    assert result.exit_code == 2
    assert count(sqlite_engine) == 0


# --- create-user --------------------------------------------------------------------------------------


def test_create_user_asks_twice_for_the_password(app: Flask) -> None:
    result = run(app, "create-user", NEW, typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert succeeds(result)
    assert PASSWORD not in result.output
    assert log_in(app, NEW).status_code == 200


def test_create_user_asks_again_when_the_two_differ(small_app: Flask) -> None:
    typed = f"{PASSWORD}\na slip of the finger\n{PASSWORD}\n{PASSWORD}\n"
    assert succeeds(run(small_app, "create-user", NEW, typed=typed))
    assert log_in(small_app, NEW).status_code == 200


@pytest.mark.parametrize("end", ["\n", "\r\n", "", "\nanother line\n"], ids=repr)
def test_create_user_reads_the_password_from_standard_input(small_app: Flask, end: str) -> None:
    result = run(small_app, "create-user", NEW, "--password-stdin", typed=f" {PASSWORD} {end}")
    assert succeeds(result)
    assert PASSWORD not in result.output
    assert log_in(small_app, NEW, f" {PASSWORD} ").status_code == 200


def test_create_user_takes_the_password_as_an_argument_in_development_with_a_warning(
    small_app: Flask,
) -> None:
    result = run(small_app, "create-user", NEW, PASSWORD)
    assert succeeds(result)
    assert result.stderr.startswith("Warning: ")
    assert PASSWORD not in result.output
    assert log_in(small_app, NEW).status_code == 200


def test_create_user_takes_no_password_as_an_argument_in_production(
    production: Flask, sqlite_engine: Engine
) -> None:
    result = run(production, "create-user", NEW, PASSWORD)
    assert is_one_line(result, "PASSWORD", "--password-stdin")
    assert PASSWORD not in result.output
    assert count(sqlite_engine) == 0


@pytest.mark.parametrize("way", ["prompt", "standard input"])
def test_create_user_takes_no_demo_password_in_production(
    production: Flask, sqlite_engine: Engine, way: str
) -> None:
    if way == "prompt":
        result = run(production, "create-user", NEW, typed="password123\npassword123\n")
        assert result.stderr.splitlines()[-1].startswith("Error: password: production")
    else:
        result = run(production, "create-user", NEW, "--password-stdin", typed="password123\n")
        assert is_one_line(result, "password", "demo")
    assert result.exit_code != 0
    assert count(sqlite_engine) == 0


def test_create_user_takes_a_password_of_ones_own_in_production(production: Flask) -> None:
    assert succeeds(run(production, "create-user", NEW, "--password-stdin", typed=f"{PASSWORD}\n"))


@pytest.mark.parametrize("typed", ["", "\n", "1234567\n"])
def test_create_user_takes_no_short_password(small_app: Flask, sqlite_engine: Engine, typed: str) -> None:
    assert is_one_line(run(small_app, "create-user", NEW, "--password-stdin", typed=typed), "password", "8")
    assert count(sqlite_engine) == 0


@pytest.mark.parametrize("taken", ["partner@example.com", "PARTNER@Example.com"])
def test_create_user_takes_no_email_twice(app: Flask, engine: Engine, taken: str) -> None:
    make_user(engine, "partner@example.com")
    result = run(app, "create-user", taken, "--password-stdin", typed=f"{PASSWORD}\n")
    assert is_one_line(result, "EMAIL", taken)
    assert count(engine) == 1


@pytest.mark.parametrize(("options", "role"), [([], ROLE_API_CLIENT), (["--role", ROLE_ADMIN], ROLE_ADMIN)])
def test_create_user_makes_a_partner_unless_told_otherwise(
    small_app: Flask, sqlite_engine: Engine, options: list[str], role: str
) -> None:
    assert succeeds(run(small_app, "create-user", NEW, *options, "--password-stdin", typed=PASSWORD))
    assert user(sqlite_engine).roles == [role]


@pytest.mark.parametrize("option", ["--full-name", "--full_name"])
@pytest.mark.parametrize("command", ["create-user", "create-client-apikey"])
def test_the_name_may_be_given_in_either_spelling(
    small_app: Flask, sqlite_engine: Engine, command: str, option: str
) -> None:
    stdin = ["--password-stdin"] if command == "create-user" else []
    result = run(small_app, command, NEW, f"{option}=Zoë Ångström", *stdin, typed=PASSWORD)
    assert succeeds(result)
    assert user(sqlite_engine).full_name == "Zoë Ångström"


def test_a_user_made_by_a_command_is_known_to_an_instance_that_runs(app: Flask, engine: Engine) -> None:
    other = new_app("ingest", engine, app.extensions["leadgate.access"].keys)
    assert add_partner(engine).calls(other).is_let_in()
    assert succeeds(run(app, "create-user", NEW, "--password-stdin", typed=PASSWORD))
    assert log_in(other, NEW).status_code == 200


def test_what_commands_do_is_in_the_audit_log_as_nobodys(small_app: Flask, sqlite_engine: Engine) -> None:
    assert succeeds(run(small_app, "create-user", NEW, "--password-stdin", typed=PASSWORD))
    assert succeeds(run(small_app, "create-client-apikey", NEW))
    with sqlite_engine.connect() as connection:
        rows = connection.execute(select(audit_log).order_by(audit_log.c.id)).all()
    assert [(row.action, row.target) for row in rows] == [("create", "user"), ("create", "api_key")]
    assert {(row.actor_id, row.address, row.request_id) for row in rows} == {(None, None, None)}


# --- create-client-apikey -----------------------------------------------------------------------------


def issued(app: Flask, *arguments: str) -> Caller:
    """Somebody with the key that the command has made."""
    result = run(app, "create-client-apikey", *arguments)
    assert succeeds(result)
    return Caller(app, {"X-AUTH-Token": result.stdout.strip()})


def test_create_client_apikey_makes_an_admin_whose_key_works_at_once(app: Flask, engine: Engine) -> None:
    assert add_admin(engine).calls(app).get(USERS).status_code == 200
    assert issued(app, NEW).get(USERS).status_code == 200
    assert user(engine).roles == [ROLE_ADMIN]


def test_create_client_apikey_prints_the_key_alone_on_standard_output(small_app: Flask) -> None:
    result = run(small_app, "create-client-apikey", NEW)
    [key] = result.stdout.splitlines()
    assert len(key) >= 40
    assert key not in result.stderr
    assert NEW in result.stderr


def test_create_client_apikey_makes_a_partner_if_told_to(small_app: Flask, sqlite_engine: Engine) -> None:
    caller = issued(small_app, NEW, "--role", ROLE_API_CLIENT)
    assert caller.get("/api/leads").status_code == 200
    assert caller.get(USERS).status_code == 403


def test_create_client_apikey_leaves_the_role_of_a_user_who_is_there(
    small_app: Flask, sqlite_engine: Engine
) -> None:
    make_user(sqlite_engine, NEW)
    caller = issued(small_app, "NEW@example.com")
    assert (caller.get("/api/leads").status_code, caller.get(USERS).status_code) == (200, 403)
    assert count(sqlite_engine) == 1


def test_a_user_made_for_a_key_has_no_password(small_app: Flask) -> None:
    issued(small_app, NEW)
    assert log_in(small_app, NEW, "").status_code == 401


@pytest.mark.parametrize("days", [1, 36_500])
def test_create_client_apikey_makes_keys_that_expire(
    small_app: Flask, sqlite_engine: Engine, days: int
) -> None:
    assert issued(small_app, NEW, "--expires-after-days", str(days)).is_let_in()
    with sqlite_engine.connect() as connection:
        expires_at = connection.scalar(select(app_user_api_keys.c.expires_at))
    assert expires_at is not None
    assert abs(expires_at - (utc_now() + timedelta(days=days))) < timedelta(minutes=1)


def test_create_client_apikey_makes_no_second_key_while_one_is_valid(
    small_app: Flask, sqlite_engine: Engine
) -> None:
    partner = add_partner(sqlite_engine)
    assert is_one_line(run(small_app, "create-client-apikey", partner.email), partner.email, "--rotate")
    assert partner.calls(small_app).is_let_in()


def test_create_client_apikey_follows_a_key_that_has_expired(small_app: Flask, sqlite_engine: Engine) -> None:
    make_api_key(sqlite_engine, make_user(sqlite_engine, NEW), expires_at=utc_now() - timedelta(seconds=1))
    assert issued(small_app, NEW).is_let_in()


def test_create_client_apikey_replaces_a_key_if_told_to(small_app: Flask, sqlite_engine: Engine) -> None:
    partner = add_partner(sqlite_engine)
    assert issued(small_app, partner.email, "--rotate").is_let_in()
    assert not partner.calls(small_app).is_let_in()


def test_create_client_apikey_makes_no_key_for_an_inactive_user(
    small_app: Flask, sqlite_engine: Engine
) -> None:
    partner = add_partner(sqlite_engine)
    admin = add_admin(sqlite_engine).calls(small_app)
    admin.patch(f"{USERS}{partner.id}", {"isActive": False})
    assert is_one_line(
        run(small_app, "create-client-apikey", partner.email, "--rotate"), "EMAIL", "not active"
    )

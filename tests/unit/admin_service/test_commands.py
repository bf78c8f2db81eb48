"""The operator's commands: what they do, and the one line that a wrong use is answered with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import Engine, Row, inspect, select

import admin_service
from shared.database import open_database
from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT, Identity
from shared.keys import KeyRing
from shared.models import app_users
from shared.passwords import Passwords
from shared.settings import DEMO_PASSWORD, Settings

PASSWORD = "a long enough word"


@pytest.fixture
def runner(admin_app: Flask) -> FlaskCliRunner:
    return admin_app.test_cli_runner()


@pytest.fixture
def in_production(settings: Settings, sqlite_engine: Engine, keys: KeyRing) -> FlaskCliRunner:
    """The same with APP_ENV=production."""
    settings = replace(settings, app_env="production")
    return admin_service.create_app(settings, engine=sqlite_engine, keys=keys).test_cli_runner()


def users(engine: Engine) -> list[Row[tuple[object, ...]]]:
    with engine.connect() as connection:
        return list(connection.execute(select(app_users)).all())


def refusal(runner: FlaskCliRunner, *arguments: str, input: str | None = None) -> str:
    """The last line of a command that was refused."""
    result = runner.invoke(args=arguments, input=input)
    assert result.exit_code != 0
    assert not result.exception or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result.output.splitlines()[-1]


def test_a_user_is_created_and_can_sign_in(runner: FlaskCliRunner, sqlite_engine: Engine) -> None:
    result = runner.invoke(
        args=["create-user", "new@example.com", "--full-name", "New Partner", "--password-stdin"],
        input=f"{PASSWORD}\n",
    )
    assert result.exit_code == 0, result.output
    (row,) = users(sqlite_engine)
    assert result.output.splitlines()[-1] == f"Created user {row.id}: new@example.com, ROLE_API_CLIENT"
    assert (row.email, row.full_name, row.roles, row.is_active) == (
        "new@example.com",
        "New Partner",
        [ROLE_API_CLIENT],
        True,
    )
    user = Identity(sqlite_engine).user_by_email("NEW@example.com")
    assert user
    assert Passwords().matches(user.password_hash, PASSWORD)


def test_a_new_user_works_at_once_in_a_running_service(runner: FlaskCliRunner, sqlite_engine: Engine) -> None:
    identity = Identity(sqlite_engine)
    identity.refresh()
    runner.invoke(args=["create-user", "new@example.com", "--password-stdin"], input=PASSWORD)
    assert identity.user_by_email("new@example.com")


def test_the_password_is_asked_for_twice_and_not_shown(runner: FlaskCliRunner, sqlite_engine: Engine) -> None:
    result = runner.invoke(args=["create-user", "new@example.com"], input=f"{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert PASSWORD not in result.output
    assert len(users(sqlite_engine)) == 1


def test_a_password_may_have_any_characters(runner: FlaskCliRunner, sqlite_engine: Engine) -> None:
    word = "  pässwörd 😀  "
    runner.invoke(args=["create-user", "new@example.com", "--password-stdin"], input=f"{word}\r\n")
    assert Passwords().matches(users(sqlite_engine)[0].password_hash, word)


@pytest.mark.parametrize("option", ["--full-name", "--full_name"])
def test_the_option_of_the_seed_works_too(runner: FlaskCliRunner, sqlite_engine: Engine, option: str) -> None:
    runner.invoke(args=["create-user", "new@example.com", option, "Name", "--password-stdin"], input=PASSWORD)
    assert users(sqlite_engine)[0].full_name == "Name"


def test_an_admin_is_created_if_wanted(runner: FlaskCliRunner, sqlite_engine: Engine) -> None:
    arguments = ["create-user", "new@example.com", "--role", ROLE_ADMIN, "--password-stdin"]
    assert runner.invoke(args=arguments, input=PASSWORD).exit_code == 0
    assert users(sqlite_engine)[0].roles == [ROLE_ADMIN]


def test_in_development_a_password_in_the_command_line_is_taken_with_a_warning(
    runner: FlaskCliRunner, sqlite_engine: Engine
) -> None:
    result = runner.invoke(args=["create-user", "new@example.com", DEMO_PASSWORD])
    assert result.exit_code == 0
    assert result.stderr.startswith("Warning: others can read a password in a command line")
    assert len(users(sqlite_engine)) == 1


@pytest.mark.parametrize("email", ["plain", "", "a@b", "a@example.com\n", "x" * 250 + "@example.com"])
def test_what_is_no_email_is_refused(runner: FlaskCliRunner, sqlite_engine: Engine, email: str) -> None:
    line = refusal(runner, "create-user", email, "--password-stdin", input=PASSWORD)
    assert line.startswith("Error: Invalid value for 'EMAIL': ")
    assert users(sqlite_engine) == []


@pytest.mark.parametrize("email", ["new@example.com", "NEW@EXAMPLE.COM"])
def test_an_email_that_is_taken_is_refused(runner: FlaskCliRunner, sqlite_engine: Engine, email: str) -> None:
    runner.invoke(args=["create-user", "new@example.com", "--password-stdin"], input=PASSWORD)
    line = refusal(runner, "create-user", email, "--password-stdin", input=PASSWORD)
    assert line == f"Error: EMAIL: a user with {email} is there already"
    assert len(users(sqlite_engine)) == 1


def test_a_role_that_is_none_is_refused(runner: FlaskCliRunner, sqlite_engine: Engine) -> None:
    line = refusal(runner, "create-user", "new@example.com", PASSWORD, "--role", "ROLE_KING")
    assert "--role" in line
    assert users(sqlite_engine) == []


@pytest.mark.parametrize(("word", "length"), [("", 0), ("seven77", 7)])
def test_a_short_password_is_refused(
    runner: FlaskCliRunner, sqlite_engine: Engine, word: str, length: int
) -> None:
    line = refusal(runner, "create-user", "new@example.com", "--password-stdin", input=word)
    assert line == f"Error: password: has {length} characters, takes at least 8"
    assert users(sqlite_engine) == []


def test_production_takes_no_password_in_the_command_line(
    in_production: FlaskCliRunner, sqlite_engine: Engine
) -> None:
    line = refusal(in_production, "create-user", "new@example.com", PASSWORD)
    assert "is not taken in production; use --password-stdin" in line
    assert users(sqlite_engine) == []


def test_production_does_not_take_the_demo_password(
    in_production: FlaskCliRunner, sqlite_engine: Engine
) -> None:
    line = refusal(in_production, "create-user", "new@example.com", "--password-stdin", input=DEMO_PASSWORD)
    assert line == "Error: password: production does not take the demo password"
    assert users(sqlite_engine) == []


def test_production_takes_a_password_of_its_own(in_production: FlaskCliRunner, sqlite_engine: Engine) -> None:
    arguments = ["create-user", "new@example.com", "--password-stdin"]
    assert in_production.invoke(args=arguments, input=PASSWORD).exit_code == 0
    assert len(users(sqlite_engine)) == 1


@pytest.fixture
def empty(tmp_path: Path, settings: Settings, keys: KeyRing) -> Iterator[tuple[FlaskCliRunner, Engine]]:
    """The commands over a database that has no tables yet."""
    engine = open_database(f"sqlite:///{tmp_path / 'empty.sqlite3'}")
    yield admin_service.create_app(settings, engine=engine, keys=keys).test_cli_runner(), engine
    engine.dispose()


def test_db_upgrade_makes_the_tables_and_may_run_again(empty: tuple[FlaskCliRunner, Engine]) -> None:
    runner, engine = empty
    for _ in range(2):
        result = runner.invoke(args=["db", "upgrade"])
        assert result.exit_code == 0, result.output
        assert result.output == "The tables are at the newest version.\n"
    assert inspect(engine).has_table("leads")


def test_a_database_without_tables_is_one_line(empty: tuple[FlaskCliRunner, Engine]) -> None:
    line = refusal(empty[0], "create-user", "new@example.com", "--password-stdin", input=PASSWORD)
    assert line == "Error: the database at DATABASE_URL: no such table: identity_version"


@pytest.mark.parametrize("arguments", [["create-user"], ["db"], ["db", "upgrade"]])
def test_each_command_explains_itself(runner: FlaskCliRunner, arguments: list[str]) -> None:
    result = runner.invoke(args=[*arguments, "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.output


def test_an_unknown_command_or_option_is_one_line(runner: FlaskCliRunner) -> None:
    assert refusal(runner, "destroy").startswith("Error: No such command 'destroy'.")
    assert refusal(runner, "create-user", "a@example.com", "--age").startswith(
        "Error: No such option '--age'"
    )
    assert refusal(runner, "create-user").startswith("Error: Missing argument 'EMAIL'")

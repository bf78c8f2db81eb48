"""`create-user` and `create-client-apikey`."""

from __future__ import annotations

import datetime
import sys

import click
from flask import current_app
from flask.cli import with_appcontext
from marshmallow import ValidationError

from admin_service.access_tokens import issue_key
from admin_service.commands import Command, errors_in_a_line
from admin_service.database import engine_of_app
from admin_service.user_records import (
    ROLES,
    EmailTaken,
    NoSuchUser,
    check_email,
    create_user,
    find_user_id,
)
from shared.database import writing
from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT
from shared.passwords import MIN_PASSWORD, Passwords
from shared.settings import DEMO_PASSWORD, Settings
from shared.times import format_time, utc_now

MAX_DAYS = 36_500


def _email(_: click.Context, __: click.Parameter, value: str) -> str:
    try:
        check_email(value)
    except ValidationError as error:
        raise click.BadParameter(f"{value!r}: {error.messages[0]}") from None
    return value


@click.command("create-user", cls=Command)
@click.argument("email", callback=_email)
@click.argument("password", required=False)
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default=ROLE_API_CLIENT,
    show_default=True,
    help="What the user may do.",
)
@click.option("--full-name", "--full_name", help="The name to show.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@with_appcontext
def create_user_command(
    email: str, password: str | None, role: str, full_name: str | None, password_stdin: bool
) -> None:
    """Create a user who can sign in with EMAIL and a password, which is asked for.

    PASSWORD as an argument works in development only: others can read a command line.
    """
    password = _password(current_app.config["SETTINGS"], password, password_stdin)
    values = {
        "email": email,
        "password_hash": Passwords().hash(password),
        "roles": [role],
        "full_name": full_name,
    }
    with errors_in_a_line(), writing(engine_of_app()).begin() as connection:
        try:
            user = create_user(connection, values)
        except EmailTaken:
            raise click.ClickException(f"EMAIL: a user with {email} is there already") from None
    click.echo(f"Created user {user.id}: {email}, {role}")


@click.command("create-client-apikey", cls=Command)
@click.argument("email", callback=_email)
@click.option("--full-name", "--full_name", help="The name of a user who is made for the key.")
@click.option(
    "--expires-after-days", type=click.IntRange(1, MAX_DAYS), help="Without it the key does not expire."
)
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default=ROLE_ADMIN,
    show_default=True,
    help="What a user who is made for the key may do.",
)
@click.option("--rotate", is_flag=True, help="Disable a key that is valid still, and make a new one.")
@with_appcontext
def create_client_apikey_command(
    email: str, full_name: str | None, expires_after_days: int | None, role: str, rotate: bool
) -> None:
    """Make an API key for the user with EMAIL, who is made if there is none. The key is shown once."""
    expires_at = expires_after_days and utc_now() + datetime.timedelta(days=expires_after_days)
    with errors_in_a_line(), writing(engine_of_app()).begin() as connection:
        user_id = find_user_id(connection, email)
        if user_id is None:
            values = {"email": email, "roles": [role], "full_name": full_name}
            user_id = create_user(connection, values).id
        try:
            row, key = issue_key(connection, user_id, expires_at or None, rotate=rotate)
        except NoSuchUser:
            raise click.ClickException(f"EMAIL: the user with {email} is not active") from None
    until = f"until {format_time(row.expires_at)}" if row.expires_at else "without end"
    if key is None:
        raise click.ClickException(f"{email} has a key that is valid {until}; --rotate replaces it")
    click.echo(f"API key of {email}, valid {until}; it is shown this once:", err=True)
    click.echo(key)


def _password(settings: Settings, argument: str | None, from_stdin: bool) -> str:
    """The password, from where the options say. Raises click's errors for what will not do."""
    if argument is not None:
        if settings.app_env == "production":
            raise click.BadParameter(
                "is not taken in production; use --password-stdin", param_hint="PASSWORD"
            )
        click.echo("Warning: others can read a password in a command line; use --password-stdin.", err=True)
        password = argument
    elif from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if settings.app_env == "production" and password == DEMO_PASSWORD:
        raise click.ClickException("password: production does not take the demo password")
    if len(password) < MIN_PASSWORD:
        raise click.ClickException(f"password: has {len(password)} characters, takes at least {MIN_PASSWORD}")
    return password

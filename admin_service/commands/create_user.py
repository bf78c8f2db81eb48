"""`flask --app admin_service create-user EMAIL`."""

from __future__ import annotations

import sys

import click
from flask import current_app
from flask.cli import with_appcontext
from marshmallow import ValidationError

from admin_service.commands import database_errors_in_a_line
from admin_service.database import engine_of_app
from admin_service.users import ROLES, EmailTaken, check_email, create_user
from shared.database import writing
from shared.passwords import Passwords
from shared.settings import DEMO_PASSWORD, Settings

MIN_PASSWORD = 8


@click.command("create-user")
@click.argument("email")
@click.argument("password", required=False)
@click.option(
    "--role", type=click.Choice(ROLES), default=ROLES[0], show_default=True, help="What the user may do."
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
    settings: Settings = current_app.config["SETTINGS"]
    try:
        check_email(email)
    except ValidationError as error:
        raise click.BadParameter(str(error.messages[0]), param_hint="EMAIL") from None
    password = _password(settings, password, password_stdin)
    with database_errors_in_a_line(), writing(engine_of_app()).begin() as connection:
        try:
            user_id = create_user(connection, email, Passwords().hash(password), [role], full_name)
        except EmailTaken:
            raise click.ClickException(f"EMAIL: a user with {email} is there already") from None
    click.echo(f"Created user {user_id}: {email}, {role}")


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

"""The operator's commands: `flask --app admin_service COMMAND`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError


@contextlib.contextmanager
def database_errors_in_a_line() -> Iterator[None]:
    """A database that cannot do what is asked ends a command with one line, not with a stack trace."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise click.ClickException(f"the database at DATABASE_URL: {cause}".splitlines()[0]) from None


def init_commands(app: Flask) -> None:
    """Adds every command to `app`."""
    from admin_service.commands.create_user import create_user_command
    from admin_service.commands.db import db_commands

    app.cli.add_command(create_user_command)
    app.cli.add_command(db_commands)

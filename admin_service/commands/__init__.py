"""The operator's commands: `flask --app admin_service COMMAND`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import click
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from shared.errors import ApiError


@contextlib.contextmanager
def errors_in_a_line() -> Iterator[None]:
    """What cannot be done ends a command with one line, not with a stack trace."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise click.ClickException(f"the database at DATABASE_URL: {cause}".splitlines()[0]) from None
    except ApiError as error:
        raise click.ClickException(error.message) from None


class Command(click.Command):
    """A command that says in one line how it was used wrongly."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _wrong_use_in_a_line():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _wrong_use_in_a_line():
            return super().invoke(ctx)


class CommandGroup(Command, click.Group):
    """A group of such commands."""

    command_class = Command


class _WrongUse(click.ClickException):
    exit_code = click.UsageError.exit_code


@contextlib.contextmanager
def _wrong_use_in_a_line() -> Iterator[None]:
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        raise _WrongUse(f"{error.format_message().rstrip('.')}; --help shows the right use") from None


def init_commands(app: Flask) -> None:
    """Adds every command to `app`."""
    from admin_service.commands.accounts import create_client_apikey_command, create_user_command
    from admin_service.commands.db import db_commands
    from admin_service.commands.jwt_keys import rotate_jwt_keys_command
    from admin_service.commands.reconcile import reconcile_command

    for command in (
        create_user_command,
        create_client_apikey_command,
        rotate_jwt_keys_command,
        reconcile_command,
        db_commands,
    ):
        app.cli.add_command(command)

"""`flask --app admin_service db upgrade`."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from admin_service.commands import CommandGroup, errors_in_a_line
from admin_service.database import engine_of_app
from shared.migrations import upgrade


@click.group("db", cls=CommandGroup)
def db_commands() -> None:
    """The database's tables."""


@db_commands.command("upgrade")
@with_appcontext
def db_upgrade() -> None:
    """Brings the tables to the newest version."""
    with errors_in_a_line():
        upgrade(engine_of_app())
    click.echo("The tables are at the newest version.")

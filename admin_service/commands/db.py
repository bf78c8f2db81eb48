"""`flask --app admin_service db upgrade`."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from admin_service.commands import CommandGroup, errors_in_a_line
from admin_service.database import engine_of_app
from shared.migrations import upgrade_database


@click.group("db", cls=CommandGroup)
def db_commands() -> None:
    """The database's tables."""


@db_commands.command("upgrade")
@with_appcontext
def db_upgrade() -> None:
    """Brings the tables to the newest version."""
    url = engine_of_app().url.render_as_string(hide_password=False)
    with errors_in_a_line():
        upgrade_database(url)
    click.echo("The tables are at the newest version.")

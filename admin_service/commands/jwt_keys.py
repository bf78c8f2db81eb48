"""`rotate-jwt-keys`, which `make keys` calls too."""

from __future__ import annotations

import time

import click
from flask import current_app
from flask.cli import with_appcontext

from admin_service.commands import Command
from shared.access import TOKEN_SECONDS
from shared.keys import SETTLE_SECONDS, has_key, make_key, remove_outlived_keys
from shared.settings import Settings
from shared.times import utc_now


@click.command("rotate-jwt-keys", cls=Command)
@click.option("--if-missing", is_flag=True, help="Make a key only if there is none.")
@with_appcontext
def rotate_jwt_keys_command(if_missing: bool) -> None:
    """Make a new key that signs JWTs. The old one verifies on until its last JWT has expired.

    To be run again after that (or regularly), which then removes the old one.
    """
    settings: Settings = current_app.config["SETTINGS"]
    folder = settings.jwt_keys_path
    try:
        if if_missing and has_key(folder):
            click.echo(f"There is a key in {folder}")
            return
        removed = remove_outlived_keys(folder, time.time(), TOKEN_SECONDS)
        is_first = not has_key(folder)
        path = make_key(folder, utc_now())
    except OSError as error:
        raise click.ClickException(f"JWT_KEYS_DIR: {error}") from None
    for kid in removed:
        click.echo(f"Removed key {kid}: its last JWT has expired")
    when = "now" if is_first else f"in {SETTLE_SECONDS:g} s, once every process has read it"
    click.echo(f"Made key {path.stem} in {folder}; it signs {when}")

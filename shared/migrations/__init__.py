"""The tables' history: Alembic runs it on SQLite and on MySQL/MariaDB."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from shared.database import open_database

LOCK_SECONDS = 60
MIGRATION_SECONDS = 24 * 3600  # one statement may have to write a large table anew


def upgrade_database(url: str) -> None:
    """Brings the tables of the database at `url` to the newest version, however long that takes."""
    engine = open_database(url, patience=MIGRATION_SECONDS)
    try:
        upgrade(engine)
    finally:
        engine.dispose()


def upgrade(engine: Engine) -> None:
    """Brings the tables of `engine` to the newest version; one process at a time does."""
    config = _config()
    if engine.dialect.name == "sqlite":
        with engine.execution_options(writing=True).begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return
    with engine.connect() as connection:
        # Names of locks belong to the whole server, so the database's own name is part of it.
        lock = {"lock": f"leadgate-migrations-{engine.url.database}"[:64]}
        connection.execute(text("SELECT GET_LOCK(:lock, :seconds)"), lock | {"seconds": LOCK_SECONDS})
        try:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        finally:
            connection.execute(text("SELECT RELEASE_LOCK(:lock)"), lock)


def is_current(engine: Engine) -> bool:
    """Whether the tables are at the newest version."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == head


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config

"""What inserts wait for: the pages that the server reads from its disk and writes there."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

_READ, _WRITTEN = "Innodb_buffer_pool_reads", "Innodb_pages_written"


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages that somebody had to wait for because the buffer pool did not have them, and pages written from
    it, by the whole server since it began."""

    read: int
    written: int


def pages(engine: Engine) -> Pages:
    """As of now."""
    with engine.connect() as connection:
        return Pages(_status(connection, _READ), _status(connection, _WRITTEN))


def _status(connection: Connection, name: str) -> int:
    row = connection.execute(text(f"SHOW GLOBAL STATUS LIKE '{name}'")).one()
    return int(row[1])

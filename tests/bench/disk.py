"""What inserts wait for: the pages that the server reads from its disk and writes there. And a server that
has room for more of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, create_engine, text

LARGER_POOL = 1 << 30  # bytes

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


@contextmanager
def larger_pool(url: str) -> Iterator[None]:
    """The server has a buffer pool of LARGER_POOL bytes, and its own again afterwards."""
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        own = connection.scalar(text("SELECT @@innodb_buffer_pool_size"))
    try:
        _set_pool(server, LARGER_POOL)
        yield
    finally:
        _set_pool(server, own)
        server.dispose()


def _set_pool(server: Engine, size: int) -> None:
    """Returns once it is that large: the server does it beside its work."""
    with server.connect() as connection:
        connection.execute(text(f"SET GLOBAL innodb_buffer_pool_size = {size}"))
        while connection.scalar(text("SELECT @@innodb_buffer_pool_size")) != size:
            time.sleep(0.1)

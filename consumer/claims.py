"""Claims of keys: of two consumers that write leads of the same key, one waits and sees what the other has
stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, not_, or_, select

from shared.database import among, upsert

CLIENTS_A_READ = 100  # SQLite takes conditions nested up to 1,000 deep


def claim(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], holder: str
) -> Iterator[Row[Any]]:
    """Inserts those `rows` whose key is not there, and finds the rows of the keys that are held by others:
    by whom none of `rows` names as its `holder`.

    Nobody else can change any of them before this transaction ends. `table` has the primary key (partner,
    hash), and `rows` are sorted by it.
    """
    # That writes what is missing and locks what is there; a SELECT would not see another's until it commits.
    if upsert(connection, table, rows) == len(rows):
        return
    # Most keys are new. To read them back would take as long as all else that is done for a lead.
    of_others = not_(among(connection, table.c[holder], [row[holder] for row in rows]))
    for condition in of_keys(connection, table, rows):
        yield from connection.execute(select(table).where(condition, of_others))


def of_keys(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]
) -> Iterator[ColumnElement[bool]]:
    """Conditions that find the keys of `rows` in `table` between them, each for CLIENTS_A_READ partners at
    most."""
    client, hashed = table.primary_key.columns
    hashes: dict[int, list[bytes]] = {}
    for row in rows:
        hashes.setdefault(row[client.name], []).append(row[hashed.name])
    # Not as a list of pairs: SQLite would read the whole table for them.
    of_clients = [
        and_(client == client_id, among(connection, hashed, of_client))
        for client_id, of_client in hashes.items()
    ]
    for begin in range(0, len(of_clients), CLIENTS_A_READ):
        yield or_(*of_clients[begin : begin + CLIENTS_A_READ])

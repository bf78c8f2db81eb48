"""What the database has, in the words of the tests."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Row, Table, func, select

from shared.models import lead_batches, lead_counts, leads, quarantined_leads


def rows(engine: Engine, table: Table) -> list[Row[Any]]:
    """Every row, sorted by primary key."""
    with engine.connect() as connection:
        return list(connection.execute(select(table).order_by(*table.primary_key.columns)).all())


def number_of(engine: Engine, table: Table) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def stored_ids(engine: Engine) -> list[UUID]:
    with engine.connect() as connection:
        return list(connection.scalars(select(leads.c.id)))


def receipts(engine: Engine) -> list[tuple[int, bool, int, int, int]]:
    """(sequence, void, leads, stored, quarantined) of every receipt."""
    return [
        (row.sequence, row.void, row.leads, row.stored, row.quarantined) for row in rows(engine, lead_batches)
    ]


def counted(engine: Engine, status: str = "stored", grain: str = "all") -> int:
    """How many leads `lead_counts` has in that status."""
    of_status = (lead_counts.c.status == status) & (lead_counts.c.grain == grain)
    with engine.connect() as connection:
        return int(
            connection.scalar(select(func.coalesce(func.sum(lead_counts.c.leads), 0)).where(of_status)) or 0
        )


def assert_all_stored_once(engine: Engine, sent: set[UUID]) -> None:
    """Exactly the leads `sent` are stored, each once, and receipts and counts say so too."""
    ids = stored_ids(engine)
    assert len(ids) == len(set(ids))
    assert set(ids) == sent
    assert sum(row.stored for row in rows(engine, lead_batches)) == len(sent)
    for grain in ("all", "day", "hour", "minute"):
        assert counted(engine, grain=grain) == len(sent)
    assert number_of(engine, quarantined_leads) == 0

"""How many leads a listing has: from the counts that the writer keeps, else from rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, literal_column, select, union_all

from admin_service.lead_filters import EARLIEST, KINDS, SHAPES, LeadFilter
from admin_service.lead_order import Order, is_by_kind
from shared.models import lead_counts, leads

COUNTED = 10_000  # so many rows are counted at most
CLIENTS_BY_NAME = 500  # in a statement; of very many ranges MySQL plans none
CREATED, FEED = Order("createdAt", False), Order("storedAt", False)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Total:
    """How many leads match; if not `is_exact`, there are more. None are of other `kinds`."""

    number: int
    is_exact: bool
    kinds: tuple[tuple[str, bool], ...] = KINDS


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a filter's time. `lead_counts` has it in buckets of `grain`; without one its rows must be
    counted, and it is shorter than two hours."""

    grain: str | None
    begin: datetime
    end: datetime


def total_of(connection: Connection, wanted: LeadFilter) -> Total:
    """The number of leads that match: exact, from a few buckets, for clients, statuses, test and whole hours;
    with other conditions counted as far as COUNTED."""
    if not wanted.is_counted:
        return capped(rows_up_to(connection, wanted, COUNTED + 1))
    if not wanted.is_of_some_time:
        of_kinds = _of_each_kind(connection, wanted)
        kinds = tuple(kind for kind in KINDS if of_kinds.get(kind))
        return Total(sum(of_kinds.values()) - _too_new(connection, wanted), True, kinds)
    stretches = list(stretches_of(wanted.begin, wanted.end))
    counted = [stretch for stretch in stretches if stretch.grain is not None]
    number = _sum(connection, wanted, counted) if counted else 0
    if len(counted) == len(stretches):
        return Total(number - _too_new(connection, wanted), True)
    for stretch in stretches:
        if stretch.grain is None and number <= COUNTED:
            edge = replace(wanted, begin=stretch.begin, end=stretch.end, stored_before=None)
            number += rows_up_to(connection, edge, COUNTED + 1)
    if number <= COUNTED:
        number -= _too_new(connection, wanted)
    return capped(number)


def capped(number: int) -> Total:
    """A total of rows that were counted no further than COUNTED + 1."""
    return Total(min(number, COUNTED), number <= COUNTED)


def rows_up_to(connection: Connection, wanted: LeadFilter, limit: int) -> int:
    """How many leads match, by counting them, `limit` at most."""
    return connection.scalar(_rows_statement(wanted.shape), {**wanted.values, "limit": limit}) or 0


def stretches_of(begin: datetime, end: datetime) -> Iterator[Stretch]:
    """The time from `begin` to `end` in as few buckets as it takes, in order."""
    first_hour, last_hour = _up_to(begin, HOUR), _down_to(end, HOUR)
    if first_hour > last_hour:
        yield Stretch(None, begin, end)
        return
    first_day, last_day = _up_to(first_hour, DAY), _down_to(last_hour, DAY)
    if first_day > last_day:
        first_day = last_day = last_hour
    for grain, since, until in (
        (None, begin, first_hour),
        ("hour", first_hour, first_day),
        ("day", first_day, last_day),
        ("hour", last_day, last_hour),
        (None, last_hour, end),
    ):
        if since < until:
            yield Stretch(grain, since, until)


def clients_of(connection: Connection, wanted: LeadFilter) -> Sequence[int]:
    """The clients to name in a question for many counts: those of each lie side by side in the primary key,
    a third of what the way by the index costs. None where there is but one, or very many."""
    if wanted.client_id is not None:
        return ()
    clients = connection.scalars(_CLIENTS).all()
    return clients if len(clients) <= CLIENTS_BY_NAME else ()


def counts_of(
    shape: LeadFilter, grain: str, number: int = 0, *, by_client: bool
) -> tuple[list[ColumnElement[bool]], str]:
    """The rows of `lead_counts` that say how many leads match in a stretch, as conditions; and the index that
    MySQL is to read them by. Executed with `values_of` it; `by_client` if that has clients."""
    columns = lead_counts.c
    conditions = [
        *shape.of_counts(grain),
        columns.bucket >= bindparam(f"since_{number}"),
        columns.bucket < bindparam(f"until_{number}"),
    ]
    if by_client:
        conditions.append(columns.client_id.in_(bindparam("clients", expanding=True)))
    is_primary = by_client or shape.client_id is not None
    return conditions, f"FORCE INDEX ({'PRIMARY' if is_primary else 'ix_lead_counts_grain_bucket'})"


def values_of(wanted: LeadFilter, stretches: Sequence[Stretch], clients: Sequence[int]) -> dict[str, Any]:
    """What the conditions of `counts_of` compare with, each stretch under its number."""
    values = wanted.values
    for number, stretch in enumerate(stretches):
        values |= {f"since_{number}": stretch.begin, f"until_{number}": stretch.end}
    return values | ({"clients": clients} if clients else {})


_CLIENTS = (
    select(lead_counts.c.client_id)
    .where(lead_counts.c.grain == "all")
    .distinct()
    .with_hint(lead_counts, "FORCE INDEX (ix_lead_counts_grain_bucket)", "mysql")
    .limit(CLIENTS_BY_NAME + 1)
)


def _sum(connection: Connection, wanted: LeadFilter, stretches: Sequence[Stretch]) -> int:
    clients = clients_of(connection, wanted)
    grains = tuple(stretch.grain or "" for stretch in stretches)
    statement = _sum_statement(wanted.shape, grains, bool(clients))
    return int(connection.scalar(statement, values_of(wanted, stretches, clients)) or 0)


@lru_cache(SHAPES)
def _sum_statement(shape: LeadFilter, grains: tuple[str, ...], by_client: bool) -> Select[Any]:
    sums = []
    for number, grain in enumerate(grains):
        conditions, hint = counts_of(shape, grain, number, by_client=by_client)
        total = select(func.sum(lead_counts.c.leads).label("number")).where(*conditions)
        sums.append(total.with_hint(lead_counts, hint, "mysql"))
    return select(func.sum(union_all(*sums).subquery().c.number))


def _of_each_kind(connection: Connection, wanted: LeadFilter) -> dict[tuple[str, bool], int]:
    counted = connection.execute(_kinds_statement(wanted.shape), wanted.values)
    return {(status, test): int(number) for status, test, number in counted}


@lru_cache(SHAPES)
def _kinds_statement(shape: LeadFilter) -> Select[Any]:
    columns = lead_counts.c
    statement = select(columns.status, columns.test, func.sum(columns.leads)).where(*shape.of_counts("all"))
    statement = statement.group_by(columns.status, columns.test)
    index = "ix_lead_counts_grain_bucket" if shape.client_id is None else "PRIMARY"
    return statement.with_hint(lead_counts, f"FORCE INDEX ({index})", "mysql")


@lru_cache(SHAPES)
def _rows_statement(shape: LeadFilter) -> Select[Any]:
    index = CREATED.index(shape, few=True)
    conditions = shape.of_leads(by_kind=is_by_kind(index))
    some: Select[Any] = (
        select(literal_column("1")).select_from(leads).where(*conditions).limit(bindparam("limit"))
    )
    some = some.with_hint(leads, f"FORCE INDEX ({index})", "mysql")
    return select(func.count()).select_from(some.subquery())


def _too_new(connection: Connection, wanted: LeadFilter) -> int:
    """How many leads are counted already but not listed yet: the feed stays some seconds behind."""
    if wanted.stored_before is None:
        return 0
    return connection.scalar(_too_new_statement(wanted.shape), wanted.values) or 0


@lru_cache(SHAPES)
def _too_new_statement(shape: LeadFilter) -> Select[Any]:
    index = FEED.index(shape, few=False)
    conditions = replace(shape, stored_before=None).of_leads(by_kind=is_by_kind(index))
    too_new = leads.c.stored_at >= bindparam("stored_before")
    statement = select(func.count()).select_from(leads).where(*conditions, too_new)
    return statement.with_hint(leads, f"FORCE INDEX ({index})", "mysql")


def _down_to(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - EARLIEST) % step


def _up_to(moment: datetime, step: timedelta) -> datetime:
    return moment + (EARLIEST - moment) % step

"""How many leads a listing has: from the counts that the writer keeps, else from rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, literal, select

from admin_service.lead_filters import EARLIEST, KINDS, LeadFilter
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
    kinds: Sequence[tuple[str, bool]] = KINDS


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
        kinds = [kind for kind, number in of_kinds.items() if number]
        return Total(sum(of_kinds.values()) - _too_new(connection, wanted), True, kinds)
    stretches = list(stretches_of(wanted.begin, wanted.end))
    counted = [stretch for stretch in stretches if stretch.grain is not None]
    number = sum(_sum(connection, wanted, stretch) for stretch in counted)
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
    index = CREATED.index(wanted, few=True)
    conditions = wanted.of_leads(by_kind=is_by_kind(index))
    some = select(literal(1)).select_from(leads).where(*conditions).limit(limit)
    some = some.with_hint(leads, f"FORCE INDEX ({index})", "mysql")
    return connection.scalar(select(func.count()).select_from(some.subquery())) or 0


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


def counts_of(
    connection: Connection, wanted: LeadFilter, stretch: Stretch, *, in_order: bool = False
) -> tuple[list[ColumnElement[bool]], str]:
    """The rows of `lead_counts` that say how many leads match in a stretch that has a grain, as conditions;
    and the index that MySQL is to read them by, `in_order` of time or all at once."""
    columns = lead_counts.c
    of_stretch = [columns.bucket >= stretch.begin, columns.bucket < stretch.end]
    conditions = [*wanted.of_counts(stretch.grain or ""), *of_stretch]
    if wanted.client_id is not None:
        return conditions, "PRIMARY"
    clients = () if in_order else _clients(connection)
    if not 0 < len(clients) <= CLIENTS_BY_NAME:
        return conditions, "ix_lead_counts_grain_bucket"
    # The counts of each lie side by side in the primary key: a third of what the way by the index costs.
    return [*conditions, columns.client_id.in_(clients)], "PRIMARY"


def _clients(connection: Connection) -> Sequence[int]:
    """Those with leads, and one more than CLIENTS_BY_NAME at most."""
    clients = select(lead_counts.c.client_id).where(lead_counts.c.grain == "all").distinct()
    clients = clients.with_hint(lead_counts, "FORCE INDEX (ix_lead_counts_grain_bucket)", "mysql")
    return connection.scalars(clients.limit(CLIENTS_BY_NAME + 1)).all()


def _sum(connection: Connection, wanted: LeadFilter, stretch: Stretch) -> int:
    conditions, index = counts_of(connection, wanted, stretch)
    total = select(func.coalesce(func.sum(lead_counts.c.leads), 0)).where(*conditions)
    return int(connection.scalar(total.with_hint(lead_counts, f"FORCE INDEX ({index})", "mysql")) or 0)


def _of_each_kind(connection: Connection, wanted: LeadFilter) -> dict[tuple[str, bool], int]:
    columns = lead_counts.c
    statement = select(columns.status, columns.test, func.sum(columns.leads)).where(*wanted.of_counts("all"))
    statement = statement.group_by(columns.status, columns.test)
    index = "ix_lead_counts_grain_bucket" if wanted.client_id is None else "PRIMARY"
    statement = statement.with_hint(lead_counts, f"FORCE INDEX ({index})", "mysql")
    return {(status, test): int(number) for status, test, number in connection.execute(statement)}


def _too_new(connection: Connection, wanted: LeadFilter) -> int:
    """How many leads are counted already but not listed yet: the feed stays some seconds behind."""
    if wanted.stored_before is None:
        return 0
    index = FEED.index(wanted, few=False)
    conditions = replace(wanted, stored_before=None).of_leads(by_kind=is_by_kind(index))
    statement = (
        select(func.count()).select_from(leads).where(*conditions, leads.c.stored_at >= wanted.stored_before)
    )
    statement = statement.with_hint(leads, f"FORCE INDEX ({index})", "mysql")
    return connection.scalar(statement) or 0


def _down_to(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - EARLIEST) % step


def _up_to(moment: datetime, step: timedelta) -> datetime:
    return moment + (EARLIEST - moment) % step

"""How many leads a listing has: from the counts that the writer keeps, else from rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, literal, select

from admin_service.lead_filters import EARLIEST, LeadFilter
from admin_service.lead_order import Order, is_by_kind
from shared.models import lead_counts, leads

COUNTED = 10_000  # so many rows are counted at most
CREATED, FEED = Order("createdAt", False), Order("storedAt", False)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Total:
    """How many leads match; if not `is_exact`, there are more."""

    number: int
    is_exact: bool


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
        number = _sum(connection, wanted, wanted.of_counts("all"))
        return Total(number - _too_new(connection, wanted), True)
    stretches = list(stretches_of(wanted.begin, wanted.end))
    counted = [stretch for stretch in stretches if stretch.grain is not None]
    number = sum(_sum(connection, wanted, counts_of(wanted, stretch)) for stretch in counted)
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


def counts_of(wanted: LeadFilter, stretch: Stretch) -> list[ColumnElement[bool]]:
    """The rows of `lead_counts` that say how many leads match in a stretch that has a grain."""
    bucket = lead_counts.c.bucket
    return [*wanted.of_counts(stretch.grain or ""), bucket >= stretch.begin, bucket < stretch.end]


def _sum(connection: Connection, wanted: LeadFilter, conditions: list[ColumnElement[bool]]) -> int:
    total = select(func.coalesce(func.sum(lead_counts.c.leads), 0)).where(*conditions)
    total = total.with_hint(lead_counts, f"FORCE INDEX ({wanted.index_of_counts})", "mysql")
    return int(connection.scalar(total) or 0)


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

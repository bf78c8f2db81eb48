"""Where in time the leads of a page lie: `lead_counts` has a number for each hour.

So a page far down, or one of few leads among many others, is found without reading what lies before it and
in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, and_, false, func, or_, select

from admin_service.lead_filters import LeadFilter
from admin_service.lead_totals import HOUR, Stretch, counts_of, rows_up_to, stretches_of
from shared.models import lead_counts, leads


def skip_leads(
    connection: Connection, wanted: LeadFilter, number: int, *, descending: bool
) -> tuple[LeadFilter, int]:
    """`wanted` without its first leads in the order of creation, as many of them as whole hours have; and how
    many of `number` are still to be skipped."""
    parts = (
        part
        for stretch in _in_order(wanted, descending)
        for part in _parts(connection, wanted, stretch, descending, number)
    )
    part, number = _part_with(parts, number)
    if part is not None and part.grain == "day":
        hours = replace(part, grain="hour")
        part, number = _part_with(_parts(connection, wanted, hours, descending, number), number)
    if part is None:
        return replace(wanted, end=wanted.begin), 0
    rest = replace(wanted, end=part.end) if descending else replace(wanted, begin=part.begin)
    return rest, number


def hours_with(
    connection: Connection, wanted: LeadFilter, need: int, *, descending: bool
) -> ColumnElement[bool]:
    """The hours that have the first `need` leads in the order of creation, as a condition on `leads`."""
    found: list[Stretch] = []
    for stretch in _in_order(wanted, descending):
        if need <= 0:
            break
        if stretch.grain is None:
            found.append(stretch)  # how many it has is not known, so it does not count
            continue
        hours = replace(stretch, grain="hour")
        for hour, number in _buckets(connection, wanted, hours, descending, limit=need):
            if need <= 0:
                break
            found.append(hour)
            need -= number
    received_at = leads.c.received_at
    return or_(false(), *(and_(received_at >= part.begin, received_at < part.end) for part in found))


def _in_order(wanted: LeadFilter, descending: bool) -> Iterable[Stretch]:
    stretches = list(stretches_of(wanted.begin, wanted.end))
    return reversed(stretches) if descending else stretches


def _part_with(parts: Iterable[tuple[Stretch, int]], number: int) -> tuple[Stretch | None, int]:
    """The part that has the lead after `number` others, and how many of those it has itself."""
    for part, leads_there in parts:
        if number < leads_there:
            return part, number
        number -= leads_there
    return None, 0


def _parts(
    connection: Connection, wanted: LeadFilter, stretch: Stretch, descending: bool, most: int
) -> Iterator[tuple[Stretch, int]]:
    """The stretch in buckets, each with the number of its leads; in one if it is not counted beforehand."""
    if stretch.grain is not None:
        yield from _buckets(connection, wanted, stretch, descending)
    else:
        edge = replace(wanted, begin=stretch.begin, end=stretch.end)
        yield stretch, rows_up_to(connection, edge, most + 1)


def _buckets(
    connection: Connection, wanted: LeadFilter, stretch: Stretch, descending: bool, limit: int | None = None
) -> Iterator[tuple[Stretch, int]]:
    """Those buckets of the stretch that have leads."""
    bucket, number = lead_counts.c.bucket, func.sum(lead_counts.c.leads)
    statement = (
        select(bucket, number)
        .where(*counts_of(wanted, stretch))
        .group_by(bucket)
        .having(number > 0)
        .order_by(bucket.desc() if descending else bucket.asc())
        .limit(limit)
        .with_hint(lead_counts, f"FORCE INDEX ({wanted.index_of_counts})", "mysql")
    )
    length = HOUR if stretch.grain == "hour" else 24 * HOUR
    for begin, leads_there in connection.execute(statement):
        yield Stretch(stretch.grain, begin, begin + length), int(leads_there)

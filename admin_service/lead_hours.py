"""Where in time the leads of a page lie: `lead_counts` has a number for each hour.

So a page far down is found without reading what lies before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, func, select

from admin_service.lead_filters import LeadFilter
from admin_service.lead_totals import HOUR, Stretch, counts_of, rows_up_to, stretches_of
from shared.models import lead_counts

NEAR = 32  # buckets that are looked through one after the other; beyond, all at once are cheaper


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
    connection: Connection, wanted: LeadFilter, stretch: Stretch, descending: bool
) -> Iterator[tuple[Stretch, int]]:
    """Those buckets of the stretch that have leads."""
    length = HOUR if stretch.grain == "hour" else 24 * HOUR
    for limit in (NEAR, None):
        found = _counted(connection, wanted, stretch, descending, limit)
        for begin, leads_there in found:
            yield Stretch(stretch.grain, begin, begin + length), leads_there
        if len(found) != limit:
            return
        last = found[-1][0]
        stretch = replace(stretch, end=last) if descending else replace(stretch, begin=last + length)


def _counted(
    connection: Connection, wanted: LeadFilter, stretch: Stretch, descending: bool, limit: int | None
) -> list[tuple[datetime, int]]:
    """The first `limit` buckets with the numbers of their leads."""
    bucket, number = lead_counts.c.bucket, func.sum(lead_counts.c.leads)
    conditions, index = counts_of(connection, wanted, stretch, in_order=limit is not None)
    statement = select(bucket, number).where(*conditions).group_by(bucket).having(number > 0)
    statement = statement.order_by(bucket.desc() if descending else bucket.asc()).limit(limit)
    statement = statement.with_hint(lead_counts, f"FORCE INDEX ({index})", "mysql")
    return [(begin, int(leads_there)) for begin, leads_there in connection.execute(statement)]

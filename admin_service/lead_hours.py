"""Where in time the leads of a page lie: `lead_counts` has a number for each hour.

So a page far down is found without reading what lies before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, case, func, select

from admin_service.lead_filters import SHAPES, LeadFilter
from admin_service.lead_totals import (
    DAY,
    HOUR,
    Stretch,
    clients_of,
    counts_of,
    rows_up_to,
    stretches_of,
    values_of,
)
from shared.models import lead_counts

# Buckets of all clients that are read in their order, where no more than that part of the leads is skipped;
# of more buckets it is cheaper to read all at once.
NEAR, SMALL_PART = 32, 1 / 16
_LENGTHS = {"hour": HOUR, "day": DAY}


def skip_leads(
    connection: Connection, wanted: LeadFilter, number: int, total: int, *, descending: bool
) -> tuple[LeadFilter, int]:
    """`wanted` without its first leads in the order of creation, as many of them as whole hours have; and how
    many of `number` are still to be skipped. `total` is about how many leads there are."""
    search = _Search(connection, wanted, descending, is_near=number <= SMALL_PART * total)
    part = None
    for stretch in search.stretches():
        part, number = search.part_with(stretch, number)
        if part is not None:
            break
    if part is not None and part.grain == "day":
        part, number = search.part_with(replace(part, grain="hour"), number)
    if part is None:
        return replace(wanted, end=wanted.begin), 0
    rest = replace(wanted, end=part.end) if descending else replace(wanted, begin=part.begin)
    return rest, number


@dataclass(frozen=True, slots=True)
class _Search:
    """What one page is looked for with; `is_near` if it is likely among the first NEAR buckets."""

    connection: Connection
    wanted: LeadFilter
    descending: bool
    is_near: bool

    def stretches(self) -> Iterable[Stretch]:
        """The time of all leads, in their order."""
        stretches = list(stretches_of(self.wanted.begin, self.wanted.end))
        return reversed(stretches) if self.descending else stretches

    def part_with(self, stretch: Stretch, number: int) -> tuple[Stretch | None, int]:
        """The part of the stretch that has the lead after `number` others, and how many of those it has
        itself; None, and how many are left after the stretch, if that has too few."""
        if stretch.grain is None:
            edge = replace(self.wanted, begin=stretch.begin, end=stretch.end)
            leads_there = rows_up_to(self.connection, edge, number + 1)
            return (stretch, number) if number < leads_there else (None, number - leads_there)
        bucket = self._bucket_with(stretch, number)
        if bucket is None:
            return None, number
        if bucket.leads_so_far <= number:
            return None, number - int(bucket.leads_so_far)
        begin = bucket.bucket
        part = Stretch(stretch.grain, begin, begin + _LENGTHS[stretch.grain])
        return part, number - int(bucket.leads_so_far - bucket.leads_there)

    def _bucket_with(self, stretch: Stretch, number: int) -> Row[Any] | None:
        """The bucket of the stretch that has that lead, or its last one; None if it has no leads."""
        shape, grain = self.wanted.shape, stretch.grain or ""
        values = values_of(self.wanted, [stretch], ()) | {"number": number}
        is_all = stretch.end - stretch.begin <= NEAR * _LENGTHS[grain]
        if self.wanted.client_id is None and (self.is_near or is_all):
            statement = _statement(shape, grain, self.descending, NEAR, False)
            near = self.connection.execute(statement, values).first()
            if near is None or near.leads_so_far > number or is_all:
                return near
        clients = clients_of(self.connection, self.wanted)
        statement = _statement(shape, grain, self.descending, None, bool(clients))
        return self.connection.execute(
            statement, values | {"clients": clients} if clients else values
        ).first()


@lru_cache(SHAPES)
def _statement(
    shape: LeadFilter, grain: str, descending: bool, limit: int | None, by_client: bool
) -> Select[Any]:
    """Adds up the first `limit` buckets in order: the database hands over one in place of all, each of which
    the driver would read for 10 µs."""
    bucket, number = lead_counts.c.bucket, func.sum(lead_counts.c.leads)
    conditions, hint = counts_of(shape, grain, by_client=by_client)
    counted = select(bucket, number.label("leads_there")).where(*conditions).group_by(bucket)
    counted = counted.having(number > 0).with_hint(lead_counts, hint, "mysql")
    if limit is not None:
        counted = counted.order_by(bucket.desc() if descending else bucket.asc()).limit(limit)
    buckets = counted.subquery("buckets")
    in_order = buckets.c.bucket.desc() if descending else buckets.c.bucket.asc()
    so_far = func.sum(buckets.c.leads_there).over(order_by=in_order, rows=(None, 0))
    summed = select(buckets, so_far.label("leads_so_far")).subquery("summed")
    has_it = summed.c.leads_so_far > bindparam("number")
    nearest = case((has_it, summed.c.leads_so_far), else_=-summed.c.leads_so_far)
    return select(summed).order_by(has_it.desc(), nearest).limit(1)

"""One page of a listing of leads: found by its number or after a cursor, in the same order either way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, select

from admin_service.lead_cursors import Cursor
from admin_service.lead_filters import LeadFilter
from admin_service.lead_order import Order
from admin_service.lead_totals import Total, rows_up_to, total_of
from shared.errors import validation_failed
from shared.models import FEED_DELAY_SECONDS, leads
from shared.times import Clock, utc_now

SORTED_BY_NAME = 100_000  # leads at most: no index has them in that order


@dataclass(frozen=True, slots=True)
class Listing:
    """What is asked for: the page of that number, or the one after `cursor`."""

    wanted: LeadFilter
    order: Order
    limit: int
    page: int = 1
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """What is found. `end` is the cursor to go on with, if there is more now, or in the feed may be later."""

    rows: Sequence[Row[Any]]
    number: int
    total: Total
    end: Cursor | None


def read_page(connection: Connection, listing: Listing, now: Clock = utc_now) -> Page:
    """The page. Raises ApiError 400 where too many leads match to sort them by a name."""
    wanted, order, limit = listing.wanted, listing.order, listing.limit
    if order.is_feed:
        wanted = replace(wanted, stored_before=now() - timedelta(seconds=FEED_DELAY_SECONDS))
    total = total_of(connection, wanted, order)
    if order.is_by_name:
        _refuse_too_many(connection, wanted, order, total)
    number = listing.page if listing.cursor is None else listing.cursor.page + 1
    offset = (number - 1) * limit
    conditions = wanted.of_leads()
    if listing.cursor is not None:
        conditions.append(order.after(listing.cursor.place))
        offset = 0
    elif total.is_exact and offset >= total.number:
        return Page([], number, total, None)
    rows = _rows(connection, listing, conditions, offset)
    there_is_more = len(rows) > limit or (order.is_feed and bool(rows))
    rows = rows[:limit]
    return Page(rows, number, total, Cursor(number, order.place_of(rows[-1])) if there_is_more else None)


def _rows(
    connection: Connection, listing: Listing, conditions: list[ColumnElement[bool]], offset: int
) -> Sequence[Row[Any]]:
    """The leads from `offset` on, one more than fit the page."""
    order = listing.order
    # Found in the index first: what is skipped on the way need not be read in full.
    found = (
        select(leads.c.received_at, leads.c.id)
        .where(*conditions)
        .order_by(*order.clauses())
        .limit(listing.limit + 1)
        .offset(offset)
        .with_hint(leads, f"FORCE INDEX ({order.index(listing.wanted)})", "mysql")
        .subquery("found")
    )
    same = and_(leads.c.received_at == found.c.received_at, leads.c.id == found.c.id)
    statement = select(leads).select_from(found.join(leads, same)).order_by(*order.clauses())
    return connection.execute(statement).all()


def _refuse_too_many(connection: Connection, wanted: LeadFilter, order: Order, total: Total) -> None:
    number = total.number
    if not total.is_exact:
        number = rows_up_to(connection, wanted, order, SORTED_BY_NAME + 1)
    if number > SORTED_BY_NAME:
        fault = f"More than {SORTED_BY_NAME} leads match, too many to sort by a name: ask for fewer"
        raise validation_failed({"sortBy": [fault]})

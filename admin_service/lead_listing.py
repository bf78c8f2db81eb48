"""One page of a listing of leads: found by its number or after a cursor, in the same order either way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select

from admin_service.lead_cursors import Cursor
from admin_service.lead_filters import LeadFilter
from admin_service.lead_hours import hours_with, skip_leads
from admin_service.lead_order import Order
from admin_service.lead_totals import COUNTED, Total, rows_up_to, total_of
from shared.errors import validation_failed
from shared.models import FEED_DELAY_SECONDS, leads
from shared.times import Clock, utc_now

SORTED_BY_NAME = 100_000  # leads at most: no index has them in that order
SKIPPED_BY_READING = 500  # leads at most; more are skipped by the hour


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
    order, limit = listing.order, listing.limit
    if order.is_feed:
        stored_before = now() - timedelta(seconds=FEED_DELAY_SECONDS)
        listing = replace(listing, wanted=replace(listing.wanted, stored_before=stored_before))
    total = total_of(connection, listing.wanted)
    if order.is_by_name:
        _refuse_too_many(connection, listing.wanted, total)
    number = listing.page if listing.cursor is None else listing.cursor.page + 1
    if listing.cursor is None and total.is_exact and (number - 1) * limit >= total.number:
        return Page([], number, total, None)
    rows = read_rows(connection, listing, total)
    there_is_more = len(rows) > limit or (order.is_feed and bool(rows))
    rows = rows[:limit]
    return Page(rows, number, total, Cursor(number, order.place_of(rows[-1])) if there_is_more else None)


def read_rows(connection: Connection, listing: Listing, total: Total) -> Sequence[Row[Any]]:
    """The leads of the page and the one after it; `total` says about how many the whole list has."""
    order, need = listing.order, listing.limit + 1
    conditions, offset = _place(connection, listing)
    index = order.index(listing.wanted, few=total.is_exact and total.number <= COUNTED)
    # Found in the index first: what is skipped on the way need not be read in full.
    found = (
        select(leads.c.received_at, leads.c.id)
        .where(*conditions)
        .order_by(*order.clauses())
        .limit(need)
        .offset(offset)
        .with_hint(leads, f"FORCE INDEX ({index})", "mysql")
        .subquery("found")
    )
    same = and_(leads.c.received_at == found.c.received_at, leads.c.id == found.c.id)
    statement = select(leads).select_from(found.join(leads, same)).order_by(*order.clauses())
    return connection.execute(statement).all()


def _place(connection: Connection, listing: Listing) -> tuple[list[ColumnElement[bool]], int]:
    """The conditions on the leads to read, and how many of them to skip."""
    wanted, order, need = listing.wanted, listing.order, listing.limit + 1
    offset = (listing.page - 1) * listing.limit
    is_by_hours = order.name == "createdAt" and wanted.is_counted
    if listing.cursor:
        conditions = [*wanted.of_leads(), order.after(listing.cursor.place)]
        if is_by_hours and wanted.is_sparse:
            conditions.append(_hours_after(connection, listing, listing.cursor.place[0]))
        return conditions, 0
    if is_by_hours and offset >= SKIPPED_BY_READING:
        wanted, offset = skip_leads(connection, wanted, offset, descending=order.descending)
    conditions = wanted.of_leads()
    if is_by_hours and wanted.is_sparse:
        conditions.append(hours_with(connection, wanted, offset + need, descending=order.descending))
    return conditions, offset


def _hours_after(connection: Connection, listing: Listing, received_at: datetime) -> ColumnElement[bool]:
    """The moment of the cursor, and the hours after it that have the leads of the page."""
    wanted, descending = listing.wanted, listing.order.descending
    if descending:
        wanted = replace(wanted, end=received_at)
    else:
        wanted = replace(wanted, begin=received_at + timedelta(microseconds=1))
    hours = hours_with(connection, wanted, listing.limit + 1, descending=descending)
    return or_(leads.c.received_at == received_at, hours)


def _refuse_too_many(connection: Connection, wanted: LeadFilter, total: Total) -> None:
    number = total.number
    if not total.is_exact:
        number = rows_up_to(connection, wanted, SORTED_BY_NAME + 1)
    if number > SORTED_BY_NAME:
        fault = f"More than {SORTED_BY_NAME} leads match, too many to sort by a name: ask for fewer"
        raise validation_failed({"sortBy": [fault]})

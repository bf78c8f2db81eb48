"""One page of a listing of leads: found by its number or after a cursor, in the same order either way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Subquery, and_, bindparam, select, union_all

from admin_service.lead_bodies import COLUMNS, with_client
from admin_service.lead_cursors import Cursor
from admin_service.lead_filters import SHAPES, LeadFilter
from admin_service.lead_hours import skip_leads
from admin_service.lead_order import Order, is_by_kind
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
    order, wanted, need = listing.order, listing.wanted, listing.limit + 1
    offset, place = (listing.page - 1) * listing.limit, {}
    if listing.cursor is not None:
        offset, place = 0, order.values_of(listing.cursor.place)
    elif order.name == "createdAt" and wanted.is_counted and offset >= SKIPPED_BY_READING:
        wanted, offset = skip_leads(connection, wanted, offset, total.number, descending=order.descending)
    index = order.index(wanted, few=total.is_exact and total.number <= COUNTED)
    kinds = total.kinds if is_by_kind(index) else ()
    statement = _statement(wanted.shape, order, index, kinds, bool(place))
    values = {"need": need, "offset": offset, "reach": offset + need, **place}
    return connection.execute(statement, wanted.values | values).all()


@lru_cache(SHAPES)
def _statement(
    shape: LeadFilter, order: Order, index: str, kinds: tuple[tuple[str, bool], ...], after_place: bool
) -> Select[Any]:
    """The leads after the first `offset`, or after the place, `need` at most."""
    parts = [shape]
    if is_by_kind(index):
        parts = shape.of_each_kind(kinds) or shape.of_each_kind()
    places = [order.after_place()] if after_place else []
    # Found in the index first: what is skipped on the way need not be read in full.
    found = _in_order(
        order,
        [
            select(*order.columns)
            .where(*part.of_leads(), *places)
            .order_by(*order.clauses())
            .with_hint(leads, f"FORCE INDEX ({index})", "mysql")
            for part in parts
        ],
    )
    same = and_(leads.c.received_at == found.c.received_at, leads.c.id == found.c.id)
    columns = dict.fromkeys([*COLUMNS, *order.columns])
    return select(*columns).select_from(with_client(found.join(leads, same))).order_by(*order.clauses())


def _in_order(order: Order, parts: Sequence[Select[Any]]) -> Subquery:
    """The `need` leads after the first `offset` of all `parts`, each of which has an index in that order."""
    need: ColumnElement[int] = bindparam("need")
    offset: ColumnElement[int] = bindparam("offset")
    if len(parts) == 1:
        return parts[0].limit(need).offset(offset).subquery("found")
    firsts = [select(part.limit(bindparam("reach")).subquery()) for part in parts]
    merged = union_all(*firsts).subquery("merged")
    return (
        select(merged.c.received_at, merged.c.id)
        .order_by(*order.clauses(merged.c))
        .limit(need)
        .offset(offset)
        .subquery("found")
    )


def _refuse_too_many(connection: Connection, wanted: LeadFilter, total: Total) -> None:
    number = total.number
    if not total.is_exact:
        number = rows_up_to(connection, wanted, SORTED_BY_NAME + 1)
    if number > SORTED_BY_NAME:
        fault = f"More than {SORTED_BY_NAME} leads match, too many to sort by a name: ask for fewer"
        raise validation_failed({"sortBy": [fault]})

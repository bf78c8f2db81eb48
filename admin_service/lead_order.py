"""The order of a listing: by what it is sorted, what comes after a given lead, which index has it ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, or_
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from admin_service.lead_filters import LeadFilter
from shared.models import leads

# What leads are sorted by; `received_at` and `id` follow, so that every order is total.
SORTS: dict[str, ColumnElement[Any] | None] = {
    "createdAt": None,
    "storedAt": leads.c.stored_at,
    "firstName": leads.c.first_name_key,
    "lastName": leads.c.last_name_key,
    "email": leads.c.email_key,
}
# The indexes that have an order ready for each kind of leads: of all, and of one client's.
_INDEXES = {
    "createdAt": ("ix_leads_kind", "ix_leads_client_kind"),
    "storedAt": ("ix_leads_kind_stored", "ix_leads_client_kind_stored"),
    "email": ("ix_leads_kind_email", "ix_leads_client_kind_email"),
}
_OF_ALL_KINDS = ("PRIMARY", "ix_leads_phone")


@dataclass(frozen=True, slots=True)
class Order:
    """One of SORTS, up or down."""

    name: str
    descending: bool

    @property
    def columns(self) -> list[ColumnElement[Any]]:
        first = SORTS[self.name]
        return [*([] if first is None else [first]), leads.c.received_at, leads.c.id]

    @property
    def is_feed(self) -> bool:
        """Whether new leads come at the end, in the order in which they are stored."""
        return self.name == "storedAt" and not self.descending

    @property
    def is_by_name(self) -> bool:
        """Whether no index has this order ready."""
        return self.name not in _INDEXES

    def clauses(self, found: ReadOnlyColumnCollection[str, Any] = leads.c) -> list[ColumnElement[Any]]:
        """What stands after ORDER BY, where `found` are the columns of what was found."""
        columns = [found[str(column.key)] for column in self.columns]
        return [column.desc() if self.descending else column.asc() for column in columns]

    def place_of(self, row: Row[Any]) -> list[Any]:
        """Where a lead stands in this order: the values of `columns`."""
        return [row._mapping[column] for column in self.columns]

    def after_place(self) -> ColumnElement[bool]:
        """The leads that come after the place in `values_of` it."""
        return _after(list(enumerate(self.columns)), self.descending)

    def values_of(self, place: Sequence[Any]) -> dict[str, Any]:
        """What `after_place` compares with."""
        return {_name(number): value for number, value in enumerate(place)}

    def index(self, wanted: LeadFilter, *, few: bool) -> str:
        """The index that MySQL is to read the leads by: left to itself it takes a wrong one at times.

        `few`: they are so few that those a filter finds may all be read and sorted.
        """
        of_client = wanted.client_id is not None
        if wanted.email_key is not None:
            by_filter, has_order = _INDEXES["email"][of_client], self.name in ("createdAt", "email")
        else:
            by_filter, has_order = _index_by_creation(wanted), self.name == "createdAt"
        narrows = not wanted.is_counted or wanted.is_of_some_time
        if has_order or self.is_by_name or (few and narrows):
            return by_filter
        return _INDEXES[self.name][of_client]


def is_by_kind(index: str) -> bool:
    """Whether the index begins with the kind of a lead: it has an order ready for one kind at a time."""
    return index not in _OF_ALL_KINDS


def _index_by_creation(wanted: LeadFilter) -> str:
    if wanted.phone is not None:
        return "ix_leads_phone"
    of_client = wanted.client_id is not None
    return _INDEXES["createdAt"][of_client] if of_client or wanted.is_of_some_kind else "PRIMARY"


def _after(columns: Sequence[tuple[int, ColumnElement[Any]]], descending: bool) -> ColumnElement[bool]:
    """`a <= x and (a < x or (a = x and …))`: for a comparison of rows MariaDB would read the whole index."""
    (number, column), *others = columns
    value: ColumnElement[Any] = bindparam(_name(number))
    past: ColumnElement[bool] = column < value if descending else column > value
    if not others:
        return past
    rest = _after(others, descending)
    return and_(column <= value if descending else column >= value, or_(past, and_(column == value, rest)))


def _name(number: int) -> str:
    return f"place_{number}"

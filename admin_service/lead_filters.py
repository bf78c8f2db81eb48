"""Which leads a listing is about."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, LargeBinary, cast

from shared.models import lead_counts, leads

# No lead lies outside. Both begin a day, and every database can compare with them.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
LISTED = ("stored", "duplicate")
KINDS = tuple(itertools.product(LISTED, (False, True)))  # a lead's status, and whether it is a test


@dataclass(frozen=True, slots=True)
class LeadFilter:
    """The leads of one listing; None is no condition. Received from `begin` on and before `end`."""

    client_id: int | None = None
    email_key: bytes | None = None
    phone: str | None = None
    status: str | None = None
    test: bool | None = None
    begin: datetime = EARLIEST
    end: datetime = LATEST
    stored_before: datetime | None = None

    @property
    def is_counted(self) -> bool:
        """Whether `lead_counts` knows of every condition but the hours that are not whole."""
        return self.email_key is None and self.phone is None

    @property
    def is_of_some_time(self) -> bool:
        return self.begin > EARLIEST or self.end < LATEST

    @property
    def is_of_some_kind(self) -> bool:
        return self.status is not None or self.test is not None

    def of_each_kind(self, kinds: Iterable[tuple[str, bool]] = KINDS) -> list[LeadFilter]:
        """The same leads, those of each kind apart; `kinds` are those that there may be."""
        return [
            replace(self, status=status, test=test)
            for status, test in kinds
            if self.status in (None, status) and self.test in (None, test)
        ]

    def of_leads(self, *, by_kind: bool = False) -> list[ColumnElement[bool]]:
        """The conditions on `leads`; `by_kind` for an index that begins with their kind."""
        columns = leads.c
        conditions: list[ColumnElement[bool]] = []
        if self.client_id is not None:
            conditions.append(columns.client_id == self.client_id)
        if self.email_key is not None:
            conditions.append(columns.email_key == self.email_key)
        if self.phone is not None:
            # MySQL takes text for equal that differs in blanks at the end; bytes it does not.
            conditions.append(columns.phone == self.phone)
            conditions.append(cast(columns.phone, LargeBinary) == self.phone.encode())
        if self.status is not None:
            conditions.append(columns.status == self.status)
        elif by_kind:  # every value by name: without, no database gets past this column of the index
            conditions.append(columns.status.in_(LISTED))
        if self.test is not None:
            conditions.append(columns.test == self.test)
        elif by_kind:
            conditions.append(columns.test.in_((False, True)))
        if self.begin > EARLIEST:
            conditions.append(columns.received_at >= self.begin)
        if self.end < LATEST:
            conditions.append(columns.received_at < self.end)
        if self.stored_before is not None:
            conditions.append(columns.stored_at < self.stored_before)
        return conditions

    def of_counts(self, grain: str) -> list[ColumnElement[bool]]:
        """The same conditions on `lead_counts`, but for times, and for what is not counted there."""
        columns = lead_counts.c
        statuses = LISTED if self.status is None else (self.status,)
        conditions = [columns.grain == grain, columns.status.in_(statuses)]
        # Both values by name, or MySQL would not get past `test` in the primary key.
        conditions.append(columns.test.in_((False, True) if self.test is None else (self.test,)))
        if self.client_id is not None:
            conditions.append(columns.client_id == self.client_id)
        return conditions

"""Which leads a listing is about.

Statements about them are built for the `shape` of a filter, kept, and given the filter's `values`: of 420 µs
that a small statement took, building it and SQLAlchemy's finding out that it knows it took 290.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, bindparam, cast, literal_column

from shared.models import lead_counts, leads

# No lead lies outside. Both begin a day, and every database can compare with them.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
LISTED = ("stored", "duplicate")
KINDS = tuple(itertools.product(LISTED, (False, True)))  # a lead's status, and whether it is a test
SHAPES = 512  # whose statements are kept, of each sort of statement


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
    def shape(self) -> LeadFilter:
        """The conditions whatever they compare with, but for `status` and `test`: those choose indexes."""
        return LeadFilter(
            client_id=None if self.client_id is None else 0,
            email_key=None if self.email_key is None else b"",
            phone=None if self.phone is None else "",
            status=self.status,
            test=self.test,
            begin=LATEST if self.begin > EARLIEST else EARLIEST,
            end=EARLIEST if self.end < LATEST else LATEST,
            stored_before=None if self.stored_before is None else LATEST,
        )

    @property
    def values(self) -> dict[str, Any]:
        """What the conditions compare with; a statement takes what it needs."""
        return {
            "client_id": self.client_id,
            "email_key": self.email_key,
            "phone": self.phone,
            "phone_bytes": None if self.phone is None else self.phone.encode(),
            "begin": self.begin,
            "end": self.end,
            "stored_before": self.stored_before,
        }

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
        """The conditions on `leads`, to be executed with `values`; `by_kind` for an index that begins with
        their kind."""
        columns = leads.c
        conditions: list[ColumnElement[bool]] = []
        if self.client_id is not None:
            conditions.append(columns.client_id == bindparam("client_id"))
        if self.email_key is not None:
            conditions.append(columns.email_key == bindparam("email_key"))
        if self.phone is not None:
            # MySQL takes text for equal that differs in blanks at the end; bytes it does not.
            conditions.append(columns.phone == bindparam("phone"))
            conditions.append(cast(columns.phone, LargeBinary) == bindparam("phone_bytes"))
        if self.status is not None:
            conditions.append(columns.status == self.status)
        if self.test is not None:
            conditions.append(columns.test == self.test)
        if by_kind:
            conditions += self._every_kind(columns.status, columns.test)
        if self.begin > EARLIEST:
            conditions.append(columns.received_at >= bindparam("begin"))
        if self.end < LATEST:
            conditions.append(columns.received_at < bindparam("end"))
        if self.stored_before is not None:
            conditions.append(columns.stored_at < bindparam("stored_before"))
        return conditions

    def of_counts(self, grain: str) -> list[ColumnElement[bool]]:
        """The same conditions on `lead_counts`, but for times, and for what is not counted there."""
        columns = lead_counts.c
        conditions = [columns.grain == grain, *self._every_kind(columns.status, columns.test)]
        if self.status is not None:
            conditions.append(columns.status == self.status)
        if self.test is not None:
            conditions.append(columns.test == self.test)
        if self.client_id is not None:
            conditions.append(columns.client_id == bindparam("client_id"))
        return conditions

    def _every_kind(
        self, status: ColumnElement[str], test: ColumnElement[bool]
    ) -> Iterable[ColumnElement[bool]]:
        """Every value by name, where there is no condition: without, no database gets past these columns of
        an index. Written into the statement, because SQLAlchemy puts lists of parameters into it anew each
        time."""
        if self.status is None:
            yield status.in_([literal_column(f"'{name}'") for name in LISTED])
        if self.test is None:
            yield test.in_([literal_column("0"), literal_column("1")])

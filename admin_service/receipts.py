"""What the receipts say: of each producer what was accepted and what became of it, and the numbers it lacks.

Every statement is one pass over `lead_batches`, on SQLite, MariaDB and MySQL alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    union_all,
)

from shared.models import lead_batches, lead_producers

GAPS_SHOWN = 100  # of each producer
OUTCOMES = ("stored", "duplicate", "quarantined", "erased", "repeated")
_receipt, _producer = lead_batches.c, lead_producers.c
_SUMMED = ("accepted_batches", "accepted_leads", "batches", "voids", "leads", *OUTCOMES, "short_leads")


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers `first` to `last` of a producer, settled and without receipt; known since `since`."""

    producer_id: UUID
    first: int
    last: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Lacking:
    """How many numbers have no receipt: `overdue` of them for longer than asked."""

    numbers: int = 0
    overdue: int = 0


def totals(connection: Connection) -> dict[str, int]:
    """The sums over all producers; how many there are, lack a number, and contradict themselves."""
    of_all = _sums()
    statement = select(
        func.count().label("producers"),
        _sum(_one_if(_is_incomplete(of_all))).label("incomplete"),
        _sum(_one_if(_contradicts(of_all))).label("inconsistent"),
        *(_sum(of_all.c[name]).label(name) for name in _SUMMED),
    ).select_from(of_all)
    row = connection.execute(statement).one()
    return {name: int(number) for name, number in row._mapping.items()}


def producers(connection: Connection, page: int, limit: int) -> Sequence[Row[Any]]:
    """One page of producers with their sums: first those with something wrong, then those seen last."""
    of_each = _sums()
    wrong = or_(_is_incomplete(of_each), _contradicts(of_each))
    statement = (
        select(
            of_each,
            _one_if(_is_incomplete(of_each)).label("incomplete"),
            _one_if(_contradicts(of_each)).label("inconsistent"),
        )
        .order_by(_one_if(wrong).desc(), of_each.c.last_seen_at.desc(), of_each.c.producer_id)
        .limit(limit)
        .offset((page - 1) * limit)
    )
    return connection.execute(statement).all()


def lacking(connection: Connection, before: datetime) -> Lacking:
    """How many numbers lack of all producers; `overdue` are those known since `before` or earlier."""
    found = _gaps()
    row = connection.execute(select(*_lacking_columns(found, before)).select_from(found)).one()
    return Lacking(int(row.numbers), int(row.overdue))


def lacking_of(connection: Connection, producer_ids: Sequence[UUID], before: datetime) -> dict[UUID, Lacking]:
    """The same for each of these producers that has gaps."""
    found = _gaps(producer_ids)
    statement = select(found.c.producer_id, *_lacking_columns(found, before)).group_by(found.c.producer_id)
    return {
        row.producer_id: Lacking(int(row.numbers), int(row.overdue)) for row in connection.execute(statement)
    }


def gaps_of(connection: Connection, producer_ids: Sequence[UUID]) -> list[Gap]:
    """The first GAPS_SHOWN gaps of each of these producers, in order."""
    found = _gaps(producer_ids)
    place = func.row_number().over(partition_by=found.c.producer_id, order_by=found.c.first)
    numbered = select(found, place.label("place")).subquery()
    statement = (
        select(numbered)
        .where(numbered.c.place <= GAPS_SHOWN)
        .order_by(numbered.c.producer_id, numbered.c.first)
    )
    return [
        Gap(row.producer_id, int(row.first), int(row.last), row.since)
        for row in connection.execute(statement)
    ]


def _sums() -> CTE:
    """A row for each producer.

    What has arrived was accepted, announced or not: the last message of a producer is announced by the next.
    `numbers` and `short_leads` are about what is announced alone: how many numbers have a receipt, and how
    many leads lack in them. A batch given up and stored all the same has more leads than were announced.
    """
    numbers = _receipt.last_sequence - _receipt.sequence + 1
    is_announced = _receipt.last_sequence <= _producer.settled_through
    is_void = _receipt.void.is_(True)
    highest = func.coalesce(func.max(_receipt.last_sequence), 0)
    outcomes = sum((_receipt[name] for name in OUTCOMES), literal(0))
    announced_leads = _sum(_receipt.leads, is_announced)
    return (
        select(
            _producer.producer_id,
            _producer.settled_through,
            _producer.settled_leads,
            _producer.first_seen_at,
            _producer.last_seen_at,
            _sum(numbers, is_announced).label("numbers"),
            (_larger(_producer.settled_through, highest) - _sum(numbers, is_void)).label("accepted_batches"),
            (_producer.settled_leads + _sum(_receipt.leads, ~is_announced)).label("accepted_leads"),
            _sum(numbers, ~is_void).label("batches"),
            _sum(numbers, is_void).label("voids"),
            _sum(_receipt.leads).label("leads"),
            *(_sum(_receipt[name]).label(name) for name in OUTCOMES),
            _larger(_producer.settled_leads - announced_leads, literal(0)).label("short_leads"),
            _sum(_one_if(_receipt.leads != outcomes)).label("wrong_receipts"),
        )
        .select_from(lead_producers.outerjoin(lead_batches, _receipt.producer_id == _producer.producer_id))
        .group_by(*lead_producers.c)
        .cte("sums")
    )


def _is_incomplete(sums: CTE) -> ColumnElement[bool]:
    """A number that is settled has no receipt."""
    return sums.c.numbers < sums.c.settled_through


def _contradicts(sums: CTE) -> ColumnElement[bool]:
    """A receipt whose leads are not the sum of what became of them, or leads that lack though no number
    does."""
    return or_(sums.c.wrong_receipts > 0, and_(~_is_incomplete(sums), sums.c.short_leads > 0))


def _gaps(producer_ids: Sequence[UUID] | None = None) -> CTE:
    """A row for each gap, of these producers or of all that have one.

    It is known since the receipt behind it, or since its producer was heard last.
    """
    sums = _sums()
    incomplete = producer_ids or select(sums.c.producer_id).where(_is_incomplete(sums))
    last_before = func.lag(_receipt.last_sequence).over(
        partition_by=_receipt.producer_id, order_by=_receipt.sequence
    )
    ranges = (
        select(
            _receipt.producer_id,
            _receipt.sequence,
            _receipt.stored_at,
            func.coalesce(last_before, 0).label("last_before"),
        )
        .where(_receipt.producer_id.in_(incomplete))
        .cte("ranges")
    )
    inner: Select[Any] = (
        select(
            ranges.c.producer_id,
            (ranges.c.last_before + 1).label("first"),
            _smaller(ranges.c.sequence - 1, _producer.settled_through).label("last"),
            ranges.c.stored_at.label("since"),
        )
        .join_from(ranges, lead_producers, _producer.producer_id == ranges.c.producer_id)
        .where(ranges.c.last_before + 1 < ranges.c.sequence)
        .where(ranges.c.last_before < _producer.settled_through)
    )
    highest = func.coalesce(func.max(_receipt.last_sequence), 0)
    at_the_end: Select[Any] = (
        select(
            _producer.producer_id,
            (highest + 1).label("first"),
            _producer.settled_through.label("last"),
            _producer.last_seen_at.label("since"),
        )
        .select_from(lead_producers.outerjoin(lead_batches, _receipt.producer_id == _producer.producer_id))
        .where(_producer.producer_id.in_(incomplete))
        .group_by(*lead_producers.c)
        .having(highest < _producer.settled_through)
    )
    return union_all(inner, at_the_end).cte("gaps")


def _lacking_columns(gaps: CTE, before: datetime) -> list[ColumnElement[int]]:
    numbers = gaps.c.last - gaps.c.first + 1
    return [_sum(numbers).label("numbers"), _sum(numbers, gaps.c.since <= before).label("overdue")]


def _sum(number: ColumnElement[Any], where: ColumnElement[bool] | None = None) -> ColumnElement[int]:
    """The sum of a column in the rows that are meant, 0 if there are none."""
    counted = number if where is None else case((where, number), else_=0)
    return func.coalesce(func.sum(counted), 0)


def _one_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)


def _larger(one: ColumnElement[int], other: ColumnElement[int]) -> ColumnElement[int]:
    return case((one > other, one), else_=other)


def _smaller(one: ColumnElement[int], other: ColumnElement[int]) -> ColumnElement[int]:
    return case((one < other, one), else_=other)

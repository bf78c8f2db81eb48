"""How many leads came when, from which partner, and what became of them: from `lead_counts` alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from flask import Blueprint, Response, current_app
from marshmallow import fields, validate
from sqlalchemy import ColumnElement, Select, case, func, select

from admin_service.database import engine_of_app
from admin_service.pagination import MAX_PAGE, READ_HEADERS, page_of, query_parameters
from admin_service.periods import PeriodSchema
from admin_service.proof_answers import STATS
from shared.access import signed_in
from shared.errors import success, validation_failed
from shared.identity import ROLE_ADMIN
from shared.json_fields import UrlFlag
from shared.models import MINUTES_KEPT, app_users, lead_counts
from shared.openapi import answers, takes
from shared.reading import reading
from shared.times import Clock, format_time

MAX_BUCKETS = 3_000
MAX_ROWS = 10_000
# The length of a bucket, and how far back the statistics go where `from` is not given.
BUCKETS = {
    "minute": (timedelta(minutes=1), timedelta(hours=1)),
    "hour": (timedelta(hours=1), timedelta(days=1)),
    "day": (timedelta(days=1), timedelta(days=30)),
}
OUTCOMES = ("stored", "duplicate", "quarantined")

blueprint = Blueprint("stats", __name__)


class StatsQuery(PeriodSchema):
    """The parameters of the statistics."""

    bucket = fields.String(load_default="hour", validate=validate.OneOf(list(BUCKETS)))
    clientId = fields.Integer(
        validate=validate.Range(1, 2**63 - 1), metadata={"description": "of this partner alone"}
    )
    test = UrlFlag(metadata={"description": "of test leads alone, or of others"})
    page = fields.Integer(load_default=1, validate=validate.Range(1, MAX_PAGE))
    limit = fields.Integer(load_default=MAX_ROWS, validate=validate.Range(1, MAX_ROWS))


_query = StatsQuery()


@blueprint.get("/admin/api/stats")
@signed_in(ROLE_ADMIN)
@takes(query=_query)
@answers(STATS)
def get_stats() -> Response:
    """Leads by time of acceptance and partner, the oldest first; buckets without leads are left out."""
    query = _query.load(query_parameters())
    begin, end = _period(query)
    rows = _rows(query, begin, end).subquery()
    page, limit = query["page"], query["limit"]
    summed = (func.coalesce(func.sum(rows.c[name]), 0).label(name) for name in ("accepted", *OUTCOMES))
    items = (
        select(rows, app_users.c.email)
        .outerjoin_from(rows, app_users, app_users.c.id == rows.c.client_id)
        .order_by(rows.c.bucket, rows.c.client_id)
        .limit(limit)
        .offset((page - 1) * limit)
    )
    with reading(engine_of_app()).connect() as connection:
        totals = connection.execute(select(func.count().label("rows_found"), *summed)).one()
        found = connection.execute(items).all()
    data = {
        "bucket": query["bucket"],
        "from": format_time(begin),
        "to": format_time(end),
        "totals": _numbers(totals),
        **page_of([_item(row) for row in found], page, limit, totals.rows_found),
    }
    return success(200, "Statistics", data, READ_HEADERS)


def _period(query: dict[str, Any]) -> tuple[datetime, datetime]:
    """Where the first bucket begins, and the end. Raises ApiError 400 where that would be too many buckets,
    or minutes that are not kept any more."""
    length, span = BUCKETS[query["bucket"]]
    now = cast(Clock, current_app.extensions["leadgate.now"])()
    end = query.get("to", now)
    begin = _floor(query.get("from_", end - span), query["bucket"])
    if (end - begin) / length > MAX_BUCKETS:
        fault = f"There are more than {MAX_BUCKETS:,} buckets between `from` and `to`"
        raise validation_failed({"from": [fault], "to": [fault]})
    if query["bucket"] == "minute" and begin < now - MINUTES_KEPT - length:
        hours = MINUTES_KEPT // timedelta(hours=1)
        raise validation_failed(
            {"from": [f"Minutes are kept for {hours} hours; hours and days are for ever"]}
        )
    return begin, end


def _floor(moment: datetime, bucket: str) -> datetime:
    """The beginning of the bucket that `moment` lies in."""
    minute = moment.replace(second=0, microsecond=0)
    hour = minute.replace(minute=0)
    return {"minute": minute, "hour": hour, "day": hour.replace(hour=0)}[bucket]


def _rows(query: dict[str, Any], begin: datetime, end: datetime) -> Select[Any]:
    """A row for each bucket and partner. Whatever became of a lead, it was accepted."""
    counts = lead_counts.c
    of_status = (
        func.sum(case((counts.status == status, counts.leads), else_=0)).label(status) for status in OUTCOMES
    )
    wanted: list[ColumnElement[bool]] = [counts.grain == query["bucket"]]
    wanted += [counts.bucket >= begin, counts.bucket < end]
    if "clientId" in query:
        wanted.append(counts.client_id == query["clientId"])
    if "test" in query:
        wanted.append(counts.test.is_(query["test"]))
    return (
        select(counts.bucket, counts.client_id, func.sum(counts.leads).label("accepted"), *of_status)
        .where(*wanted)
        .group_by(counts.bucket, counts.client_id)
    )


def _item(row: Any) -> dict[str, Any]:
    who = {"clientId": row.client_id, "clientEmail": row.email}
    return {"bucket": format_time(row.bucket), **who, **_numbers(row)}


def _numbers(row: Any) -> dict[str, int]:
    return {name: int(getattr(row, name)) for name in ("accepted", *OUTCOMES)}

"""The proof that nothing accepted was lost: receipts against what producers say they have had confirmed.

docs/how-a-lead-travels.md has the reasoning; admin_service/receipts.py reads the receipts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from flask import Blueprint, Response, current_app
from sqlalchemy import Engine, Row

from admin_service import receipts
from admin_service.database import engine_of_app
from admin_service.pagination import READ_HEADERS, PageSchema, page_of, query_parameters
from admin_service.proof_answers import RECONCILIATION
from admin_service.receipts import Gap, Lacking
from shared.access import signed_in
from shared.errors import success
from shared.identity import ROLE_ADMIN
from shared.openapi import answers, takes
from shared.queues import Depth, QueueUnavailable
from shared.reading import reading
from shared.times import Clock, format_time

# What a consumer has taken is in no queue any more. It is written or back in the queue within this time.
GRACE = timedelta(seconds=60)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

AskDepth = Callable[[], Depth]

blueprint = Blueprint("reconciliation", __name__)
_query = PageSchema()


@blueprint.get("/admin/api/reconciliation")
@signed_in(ROLE_ADMIN)
@takes(query=_query)
@answers(RECONCILIATION)
def get_reconciliation() -> Response:
    """What was accepted against what was settled; producers with something wrong come first."""
    query = _query.load(query_parameters())
    data = reconcile_app(query["page"], query["limit"])
    return success(200, "Reconciliation", data, READ_HEADERS)


def reconcile_app(page: int, limit: int) -> dict[str, Any]:
    """`reconcile` with what the current app was built with."""
    extensions = current_app.extensions
    ask_depth, now = cast(AskDepth, extensions["leadgate.depth"]), cast(Clock, extensions["leadgate.now"])
    return reconcile(engine_of_app(), ask_depth, now, page, limit)


def reconcile(engine: Engine, ask_depth: AskDepth, now: Clock, page: int, limit: int) -> dict[str, Any]:
    """The `data` of the answer, with one page of producers.

    A number that lacks is missing only if the queues are empty and it has lacked for longer than GRACE;
    until then, or if nobody can tell what is in the queues, it is pending.
    """
    # Asked before the receipts are read: what leaves the queue in between has its receipt then.
    depth, fault = _depth(ask_depth)
    checked_at = now()
    is_drained = depth is not None and depth.waiting + depth.dead == 0
    before = checked_at - GRACE if is_drained else _NEVER
    with reading(engine).connect() as connection:
        totals = receipts.totals(connection)
        lacking = receipts.lacking(connection, before) if totals["incomplete"] else Lacking()
        rows = receipts.producers(connection, page, limit)
        incomplete = [row.producer_id for row in rows if row.incomplete]
        of_each = receipts.lacking_of(connection, incomplete, before) if incomplete else {}
        gaps = receipts.gaps_of(connection, incomplete) if incomplete else []
    items = [_producer(row, of_each.get(row.producer_id, Lacking()), gaps) for row in rows]
    return {
        "missing": lacking.overdue,
        # What lacks may be among what waits, so the two are not added up.
        "pending": max(lacking.numbers - lacking.overdue, depth.waiting + depth.dead if depth else 0),
        "inconsistent": totals["inconsistent"],
        "queue": {**(asdict(depth) if depth else {"waiting": None, "dead": None}), "fault": fault},
        "checkedAt": format_time(checked_at),
        **_sums(totals),
        **page_of(items, page, limit, totals["producers"]),
    }


def _depth(ask_depth: AskDepth) -> tuple[Depth | None, str | None]:
    """What is in the queues, or why nobody can tell."""
    try:
        return ask_depth(), None
    except QueueUnavailable as error:
        return None, str(error)


def _producer(row: Row[Any], lacking: Lacking, gaps: list[Gap]) -> dict[str, Any]:
    return {
        "producerId": row.producer_id,
        "firstSeenAt": format_time(row.first_seen_at),
        "lastSeenAt": format_time(row.last_seen_at),
        "settledThrough": row.settled_through,
        "settledLeads": row.settled_leads,
        **_sums(row._asdict()),
        "missing": lacking.overdue,
        "pending": lacking.numbers - lacking.overdue,
        "isConsistent": not row.inconsistent,
        "gaps": [
            {"first": gap.first, "last": gap.last} for gap in gaps if gap.producer_id == row.producer_id
        ],
    }


def _sums(row: Mapping[str, Any]) -> dict[str, Any]:
    """What was accepted, and what became of it."""
    return {
        "accepted": {"batches": int(row["accepted_batches"]), "leads": int(row["accepted_leads"])},
        "settled": {name: int(row[name]) for name in ("batches", "leads", *receipts.OUTCOMES)},
        "givenUp": int(row["voids"]),
    }

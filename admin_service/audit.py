"""Who changed what, and when: noted in the transaction of the change itself, read by admins."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, g, has_request_context
from marshmallow import fields, validate
from sqlalchemy import ColumnElement, Connection, Row, func, insert, select

from admin_service.database import engine_of_app
from admin_service.pagination import READ_HEADERS, PageSchema, page_of, query_parameters
from admin_service.periods import PeriodSchema
from admin_service.proof_answers import AUDIT
from shared.access import caller_address, signed_in
from shared.errors import success
from shared.identity import ROLE_ADMIN
from shared.models import app_users, audit_log
from shared.openapi import answers, takes
from shared.reading import reading
from shared.times import format_time, utc_now

blueprint = Blueprint("audit", __name__)
_log = audit_log.c


class AuditQuery(PeriodSchema, PageSchema):
    """The parameters of the audit log."""

    target = fields.String(
        validate=validate.Length(1, 32), metadata={"description": "what was changed, such as `user`"}
    )
    targetId = fields.String(
        validate=validate.Length(1, 64), metadata={"description": "which one of those was changed"}
    )
    actorId = fields.Integer(
        validate=validate.Range(1, 2**63 - 1), metadata={"description": "changes that this user made"}
    )
    action = fields.String(validate=validate.Length(1, 32), metadata={"description": "such as `create`"})


_audit_query = AuditQuery()


@blueprint.get("/admin/api/audit")
@signed_in(ROLE_ADMIN)
@takes(query=_audit_query)
@answers(AUDIT)
def list_audit() -> Response:
    """One page of changes, the newest first."""
    query = _audit_query.load(query_parameters())
    page, limit = query["page"], query["limit"]
    wanted = _wanted(query)
    statement = (
        select(audit_log, app_users.c.email.label("actor_email"))
        .outerjoin_from(audit_log, app_users, app_users.c.id == _log.actor_id)
        .where(*wanted)
        .order_by(_log.id.desc())
        .limit(limit)
        .offset((page - 1) * limit)
    )
    with reading(engine_of_app()).connect() as connection:
        total = connection.scalar(select(func.count()).select_from(audit_log).where(*wanted)) or 0
        items = [_body(row) for row in connection.execute(statement)]
    return success(200, "Audit log", page_of(items, page, limit, total), READ_HEADERS)


def _wanted(query: dict[str, Any]) -> list[ColumnElement[bool]]:
    columns = {"target": _log.target, "targetId": _log.target_id, "actorId": _log.actor_id}
    columns["action"] = _log.action
    wanted: list[ColumnElement[bool]] = [
        column == query[name] for name, column in columns.items() if name in query
    ]
    if "from_" in query:
        wanted.append(_log.at >= query["from_"])
    if "to" in query:
        wanted.append(_log.at < query["to"])
    return wanted


def _body(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": format_time(row.at),
        "actorId": row.actor_id,
        "actorEmail": row.actor_email,
        "action": row.action,
        "target": row.target,
        "targetId": row.target_id,
        "before": row.before,
        "after": row.after,
        "address": row.address,
        "requestId": row.request_id,
    }


def record_change(
    connection: Connection,
    action: str,
    target: str,
    target_id: int | UUID | str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    """Notes that the caller (or a command on the server) did `action` to `target`; no secrets in either."""
    in_request = has_request_context()
    connection.execute(
        insert(audit_log).values(
            at=utc_now(),
            actor_id=g.user.id if in_request else None,
            action=action,
            target=target,
            target_id=str(target_id),
            before=before,
            after=after,
            address=caller_address() if in_request else None,
            request_id=g.request_id if in_request else None,
        )
    )

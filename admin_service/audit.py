"""Who changed which user, key or lead: written in the transaction of the change itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import g, has_request_context
from sqlalchemy import Connection, insert

from shared.access import caller_address
from shared.models import audit_log
from shared.times import utc_now


def record_change(
    connection: Connection,
    action: str,
    target: str,
    target_id: int | UUID,
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

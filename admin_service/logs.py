"""The log of every API exchange: what was asked of either service, and what it answered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import orjson
from flask import Blueprint, Response
from marshmallow import Schema, fields, validate
from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, func, literal, select

from admin_service.answers import LOGS, ONE_LOG
from admin_service.database import engine_of_app
from admin_service.pagination import READ_HEADERS, PageSchema, page_of, query_parameters
from admin_service.periods import PeriodSchema
from shared.access import signed_in
from shared.errors import ApiError, success, validation_failed
from shared.identity import ROLE_ADMIN
from shared.models import api_request_logs as requests
from shared.models import api_response_logs as responses
from shared.openapi import answers, takes
from shared.reading import reading
from shared.strict_json import JsonRefused, loads
from shared.times import format_time

COUNTED = 10_000  # so many exchanges are counted at most, and so far pages go
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
LOWEST_ERROR = 400
_EVERY_LIKE = re.compile(r"[\\%_]")

blueprint = Blueprint("logs", __name__, url_prefix="/admin/api/logs")


class LogsQuery(PeriodSchema, PageSchema):
    """The parameters of the list of exchanges."""

    requestId = fields.String(
        validate=validate.Length(1, 64), metadata={"description": "all exchanges with this request id"}
    )
    status = fields.Integer(validate=validate.Range(100, 599))
    errors = fields.Boolean(
        truthy={"true"},
        falsy={"false"},
        metadata={"description": "those with a status from 400 on, or others"},
    )
    method = fields.String(validate=validate.OneOf(METHODS))
    endpoint = fields.String(
        validate=validate.Length(1, 255),
        metadata={
            "description": "the path, with or without a slash at its end; or how it begins, before a `*`"
        },
    )
    clientId = fields.Integer(
        validate=validate.Range(1, 2**63 - 1), metadata={"description": "exchanges of this user"}
    )


class LogQuery(Schema):
    """The parameters of one exchange."""

    id = fields.UUID(metadata={"description": "which one, where several have the same request id"})


_logs_query = LogsQuery()
_log_query = LogQuery()


@blueprint.get("")
@signed_in(ROLE_ADMIN)
@takes(query=_logs_query)
@answers(LOGS)
def list_logs() -> Response:
    """One page of exchanges, the newest first. Pages go as far as the first 10,000."""
    query = _logs_query.load(query_parameters())
    page, limit = query["page"], query["limit"]
    wanted = conditions(query)
    with reading(engine_of_app()).connect() as connection:
        found = _up_to(connection, wanted, COUNTED + 1)
        if found > COUNTED and page * limit > COUNTED:
            raise validation_failed({"page": [f"Pages end after {COUNTED:,} exchanges: narrow the filter"]})
        by = responses if "status" in query else requests
        offset = (page - 1) * limit
        rows = newest(connection, wanted, limit, offset, by=by) if offset < found else []
    data = page_of(
        [_summary(row) for row in rows], page, limit, min(found, COUNTED), is_exact=found <= COUNTED
    )
    return success(200, "Logs", data, READ_HEADERS)


@blueprint.get("/<request_id>")
@signed_in(ROLE_ADMIN)
@takes(query=_log_query)
@answers(ONE_LOG, errors=(404,))
def get_log(request_id: str) -> Response:
    """One exchange with its bodies: the newest with that request id."""
    query = _log_query.load(query_parameters())
    wanted = [requests.c.request_id == request_id]
    if "id" in query:
        wanted.append(requests.c.id == query["id"])
    with reading(engine_of_app()).connect() as connection:
        rows = newest(connection, wanted, 1)
    if not rows:
        raise ApiError(404, "Log not found")
    return success(200, "Log", exchange_body(rows[0]), READ_HEADERS)


def conditions(query: dict[str, Any]) -> list[ColumnElement[bool]]:
    """The conditions that a loaded LogsQuery asks for."""
    found: list[ColumnElement[bool]] = []
    if "requestId" in query:
        found.append(requests.c.request_id == query["requestId"])
    if "status" in query:
        found.append(responses.c.status == query["status"])
    if "errors" in query:
        is_error = responses.c.status >= LOWEST_ERROR
        found.append(is_error if query["errors"] else ~is_error)
    if "method" in query:
        found.append(requests.c.method == query["method"])
    if "endpoint" in query:
        found.append(_at(query["endpoint"]))
    if "clientId" in query:
        found.append(requests.c.client_id == query["clientId"])
    # Of both tables, because either may be the one that is read first.
    if "from_" in query:
        found += [table.c.received_at >= query["from_"] for table in (requests, responses)]
    if "to" in query:
        found += [table.c.received_at < query["to"] for table in (requests, responses)]
    return found


def newest(
    connection: Connection,
    wanted: Sequence[ColumnElement[bool]],
    limit: int,
    offset: int = 0,
    *,
    by: Table = requests,
) -> Sequence[Row[Any]]:
    """The exchanges that match, the newest first, as rows with the columns of both tables.

    `by` is the table whose indexes have them in order; SQLite does not see by itself that both have.
    """
    # Found in the indexes first: what is skipped on the way need not be read in full.
    keys = _matching(wanted, by.c.received_at, by.c.id)
    found = keys.order_by(by.c.received_at.desc(), by.c.id.desc()).limit(limit).offset(offset).subquery()
    statement = (
        select(requests, responses.c.status, responses.c.body, responses.c.duration_us)
        .join(found, and_(requests.c.received_at == found.c.received_at, requests.c.id == found.c.id))
        .join(responses, _same_exchange())
        .order_by(requests.c.received_at.desc(), requests.c.id.desc())
    )
    return connection.execute(statement).all()


def exchange_body(row: Row[Any]) -> dict[str, Any]:
    """An exchange with its bodies."""
    summary = _summary(row)
    response = {name: summary.pop(name) for name in ("status", "durationMs")}
    return {
        "id": summary.pop("id"),
        "request": summary | {"payload": _content(row.payload)},
        "response": response | {"body": _content(row.body)},
    }


def _at(endpoint: str) -> ColumnElement[bool]:
    path, is_beginning = endpoint.removesuffix("*"), endpoint.endswith("*")
    if is_beginning:
        return requests.c.endpoint.like(_EVERY_LIKE.sub(r"\\\g<0>", path) + "%", escape="\\")
    path = path.rstrip("/")
    return requests.c.endpoint.in_([path, f"{path}/"])


def _matching(wanted: Sequence[ColumnElement[bool]], *columns: Any) -> Select[Any]:
    return select(*columns).select_from(requests).join(responses, _same_exchange()).where(*wanted)


def _same_exchange() -> ColumnElement[bool]:
    return and_(responses.c.received_at == requests.c.received_at, responses.c.id == requests.c.id)


def _up_to(connection: Connection, wanted: Sequence[ColumnElement[bool]], limit: int) -> int:
    """How many exchanges match, counted no further than `limit`."""
    some = _matching(wanted, literal(1).label("one")).limit(limit).subquery()
    return connection.scalar(select(func.count()).select_from(some)) or 0


def _summary(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "requestId": row.request_id,
        "receivedAt": format_time(row.received_at),
        "method": row.method,
        "endpoint": row.endpoint,
        "query": row.query,
        "clientId": row.client_id,
        "address": row.address,
        "userAgent": row.user_agent,
        "status": row.status,
        "durationMs": row.duration_us / 1000,
    }


def _content(text: str | None) -> orjson.Fragment | str | None:
    """A body as it was if that is whole JSON, else its text."""
    if text is None or not text.startswith(("{", "[")):
        return text
    try:
        loads(text.encode())
    except JsonRefused:
        return text
    return orjson.Fragment(text)

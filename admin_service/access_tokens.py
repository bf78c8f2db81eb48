"""API keys of a user: `/admin/api/user/{id}/access_tokens`. A key is shown once and kept as a hash."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, request
from marshmallow import Schema, ValidationError, fields
from sqlalchemy import Connection, Row, insert, or_, select, update

from admin_service.answers import KEY_ISSUED, NEW_KEY, TOKENS
from admin_service.audit import record_change
from admin_service.database import engine_of_app
from admin_service.pagination import READ_HEADERS
from admin_service.user_records import MAX_ID, NoSuchUser, user_row
from shared.access import signed_in
from shared.bodies import json_object
from shared.database import writing
from shared.errors import ApiError, answer, success
from shared.identity import ROLE_ADMIN, hash_of_key, identity_changed
from shared.json_fields import JsonBoolean
from shared.models import app_user_api_keys as keys
from shared.openapi import DONE, answers, takes
from shared.times import format_time, utc_now

KEY_BYTES = 32
NO_STORE = {"Cache-Control": "no-store"}
EXPIRATION_FORMAT = "%Y-%m-%d %H:%M:%S"

blueprint = Blueprint("access_tokens", __name__, url_prefix="/admin/api/user/<int:user_id>/access_tokens")


class Expiration(fields.Field[datetime.datetime]):
    """`YYYY-MM-DD HH:MM:SS` in UTC, not in the past."""

    json_schema = {"type": "string", "format": "future-time", "description": "`YYYY-MM-DD HH:MM:SS`, UTC"}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime.datetime:
        try:
            moment = datetime.datetime.strptime(value, EXPIRATION_FORMAT).replace(tzinfo=datetime.UTC)
        except (TypeError, ValueError):
            raise ValidationError("This value is not a valid time (YYYY-MM-DD HH:MM:SS)") from None
        if moment <= utc_now():
            raise ValidationError("This value lies in the past")
        return moment


class NewKeySchema(Schema):
    """Which key is wanted."""

    expirationDate = Expiration(allow_none=True, load_default=None)
    rotate = JsonBoolean(load_default=False)


_new_key = NewKeySchema()


@blueprint.post("")
@signed_in(ROLE_ADMIN)
@takes(body=_new_key, example=NEW_KEY, body_required=False)
@answers(KEY_ISSUED, errors=(404,))
def post_access_token(user_id: int) -> Response:
    """Makes a key, unless one is valid still and `rotate` is not asked for."""
    # Whoever wants nothing special sends no body, and then no content type either.
    wanted = _new_key.load(json_object() if request.content_length or request.content_type else {})
    with writing(engine_of_app()).begin() as connection:
        row, key = issue_key(connection, user_id, wanted["expirationDate"], rotate=wanted["rotate"])
    expires_at = row.expires_at and format_time(row.expires_at)
    body = {"status": "Ok", "api_token": key, "expires_at": expires_at, "id": row.id}
    return answer(201 if key else 200, body, NO_STORE)


@blueprint.get("")
@signed_in(ROLE_ADMIN)
@answers(TOKENS, errors=(404,))
def list_access_tokens(user_id: int) -> Response:
    """What is known of a user's keys; never the keys."""
    with engine_of_app().connect() as connection:
        user_row(connection, user_id)
        items = token_bodies(connection, [user_id]).get(user_id, [])
    pagination = {"page": 1, "limit": len(items), "total": len(items), "totalIsExact": True, "total_pages": 1}
    data = {"items": items, "pagination": pagination}
    return success(200, "Access tokens", data, READ_HEADERS)


@blueprint.delete("/<int:token_id>")
@signed_in(ROLE_ADMIN)
@answers(DONE, errors=(404,))
def delete_access_token(user_id: int, token_id: int) -> Response:
    """Disables a key."""
    with writing(engine_of_app()).begin() as connection:
        identity_changed(connection)
        user_row(connection, user_id)
        found = select(keys).where(keys.c.id == token_id, keys.c.user_id == user_id)
        row = connection.execute(found).one_or_none() if token_id <= MAX_ID else None
        if row is None:
            raise ApiError(404, "Access token not found")
        if row.disabled_at is None:
            _disable(connection, row)
    return Response(status=204)


def issue_key(
    connection: Connection, user_id: int, expires_at: datetime.datetime | None, *, rotate: bool
) -> tuple[Row[Any], str | None]:
    """A new key of an active user with its row; without `rotate` the row of a still valid one, and no key.

    `rotate` disables every valid one. Raises NoSuchUser.
    """
    identity_changed(connection)
    if not user_row(connection, user_id).is_active:
        raise NoSuchUser
    valid = connection.execute(
        select(keys)
        .where(
            keys.c.user_id == user_id,
            keys.c.disabled_at.is_(None),
            or_(keys.c.expires_at.is_(None), keys.c.expires_at > utc_now()),
        )
        .order_by(keys.c.id.desc())
    ).all()
    if valid and not rotate:
        return valid[0], None
    for row in valid:
        _disable(connection, row)
    key = secrets.token_urlsafe(KEY_BYTES)
    made = connection.execute(
        insert(keys).values(
            user_id=user_id, key_hash=hash_of_key(key), expires_at=expires_at, created_at=utc_now()
        )
    ).inserted_primary_key
    row = connection.execute(select(keys).where(keys.c.id == (made[0] if made else 0))).one()
    record_change(connection, "create", "api_key", row.id, None, _token_body(row))
    return row, key


def token_bodies(connection: Connection, user_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """What is known of the keys of each of these users."""
    bodies: dict[int, list[dict[str, Any]]] = {}
    for row in connection.execute(select(keys).where(keys.c.user_id.in_(user_ids)).order_by(keys.c.id)):
        bodies.setdefault(row.user_id, []).append(_token_body(row))
    return bodies


def _disable(connection: Connection, row: Row[Any]) -> None:
    connection.execute(update(keys).where(keys.c.id == row.id).values(disabled_at=utc_now()))
    record_change(connection, "disable", "api_key", row.id, _token_body(row), None)


def _token_body(row: Row[Any]) -> dict[str, Any]:
    expired = row.expires_at is not None and row.expires_at <= utc_now()
    return {
        "id": row.id,
        "userId": row.user_id,
        "createdAt": format_time(row.created_at),
        "expiresAt": row.expires_at and format_time(row.expires_at),
        "disabledAt": row.disabled_at and format_time(row.disabled_at),
        "isValid": row.disabled_at is None and not expired,
    }

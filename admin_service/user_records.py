"""Users in the database: every change of one is a function here, with its audit entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import validate
from sqlalchemy import Connection, Row, insert, select, update

from admin_service.audit import record_change
from shared.columns import sort_key
from shared.errors import ApiError
from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT, identity_changed
from shared.json_fields import EMAIL_LENGTH, EMAIL_MESSAGE, EmailUpToLength
from shared.models import app_user_api_keys, app_users
from shared.times import format_time, utc_now

ROLES = (ROLE_API_CLIENT, ROLE_ADMIN)
MAX_ID = 2**63 - 1


class EmailTaken(ApiError):
    """422: another user has this email."""

    def __init__(self) -> None:
        message = "This value is the email of another user"
        super().__init__(422, "Email already in use", errors={"email": [message]})


class LastAdmin(ApiError):
    """409: nobody could manage users any more."""

    def __init__(self) -> None:
        super().__init__(409, "The last active admin cannot be deactivated, deleted or demoted")


class NoSuchUser(ApiError):
    """404: there is no user with this id, or it was deleted."""

    def __init__(self) -> None:
        super().__init__(404, "User not found")


def check_email(email: str) -> None:
    """Raises ValidationError for what is no email address of at most EMAIL_LENGTH characters."""
    EmailUpToLength(error=EMAIL_MESSAGE)(email)
    validate.Length(max=EMAIL_LENGTH)(email)


def find_user_id(connection: Connection, email: str) -> int | None:
    """The id of the user with this email, however it is written."""
    found: int | None = connection.scalar(
        select(app_users.c.id).where(app_users.c.email_key == sort_key(email))
    )
    return found


def user_row(connection: Connection, user_id: int) -> Row[Any]:
    """The user's row. Raises NoSuchUser."""
    if user_id > MAX_ID:
        raise NoSuchUser
    found = select(app_users).where(app_users.c.id == user_id, app_users.c.deleted_at.is_(None))
    row = connection.execute(found).one_or_none()
    if row is None:
        raise NoSuchUser
    return row


def user_body(row: Row[Any]) -> dict[str, Any]:
    """A user as it reads back."""
    return {
        "id": row.id,
        "email": row.email,
        "fullName": row.full_name,
        "roles": row.roles,
        "description": row.description,
        "sourceUrl": row.source_url,
        "isActive": row.is_active,
        "rateLimitPerMinute": row.rate_limit_per_minute,
        "createdAt": format_time(row.created_at),
        "updatedAt": format_time(row.updated_at),
    }


def create_user(connection: Connection, values: Mapping[str, Any]) -> Row[Any]:
    """Inserts an active user; `values` are columns, at least `email`. Raises EmailTaken."""
    identity_changed(connection)
    _refuse_taken(connection, values["email"], None)
    now = utc_now()
    row: dict[str, Any] = {"roles": [ROLE_API_CLIENT], "is_active": True} | dict(values)
    row |= _keys_of(row) | {"token_version": 1, "created_at": now, "updated_at": now}
    user_id = connection.execute(insert(app_users).values(row)).inserted_primary_key
    created = user_row(connection, user_id[0] if user_id else 0)
    record_change(connection, "create", "user", created.id, None, user_body(created))
    return created


def change_user(connection: Connection, user_id: int, values: Mapping[str, Any]) -> None:
    """Changes the named columns. Raises NoSuchUser, EmailTaken, LastAdmin.

    A new password and a deactivation revoke the user's JWTs.
    """
    identity_changed(connection)
    before = user_row(connection, user_id)
    changes = dict(values) | _keys_of(values)
    if "email" in changes:
        _refuse_taken(connection, changes["email"], user_id)
    if "password_hash" in changes or changes.get("is_active") is False:
        changes["token_version"] = before.token_version + 1
    changes["updated_at"] = utc_now()
    _update(connection, user_id, changes)
    _refuse_without_admin(connection)
    after = user_body(user_row(connection, user_id))
    if "password_hash" in changes:
        after["passwordChanged"] = True
    record_change(connection, "update", "user", user_id, user_body(before), after)


def delete_user(connection: Connection, user_id: int) -> None:
    """Marks the user as deleted; its leads stay, its email becomes free. Raises NoSuchUser, LastAdmin."""
    identity_changed(connection)
    before = user_row(connection, user_id)
    _update(connection, user_id, {"deleted_at": utc_now(), "email_key": None, "is_active": False})
    keys = update(app_user_api_keys).where(
        app_user_api_keys.c.user_id == user_id, app_user_api_keys.c.disabled_at.is_(None)
    )
    connection.execute(keys.values(disabled_at=utc_now()))
    _refuse_without_admin(connection)
    record_change(connection, "delete", "user", user_id, user_body(before), None)


def revoke_tokens(connection: Connection, user_id: int) -> None:
    """Makes every JWT of the user that was issued so far worthless. Raises NoSuchUser."""
    identity_changed(connection)
    before = user_row(connection, user_id)
    _update(connection, user_id, {"token_version": before.token_version + 1})
    record_change(connection, "revoke_tokens", "user", user_id, None, None)


def _keys_of(values: Mapping[str, Any]) -> dict[str, bytes | None]:
    """The columns by which a user is found, for those of `email` and `full_name` that `values` names."""
    texts = {name: values[name] for name in ("email", "full_name") if name in values}
    return {f"{name}_key": None if text is None else sort_key(text) for name, text in texts.items()}


def _update(connection: Connection, user_id: int, changes: Mapping[str, Any]) -> None:
    connection.execute(update(app_users).where(app_users.c.id == user_id).values(dict(changes)))


def _refuse_taken(connection: Connection, email: str, user_id: int | None) -> None:
    if find_user_id(connection, email) not in (None, user_id):
        raise EmailTaken


def _refuse_without_admin(connection: Connection) -> None:
    """Looked at after the change, in a transaction that waits for all others of its kind."""
    active = select(app_users.c.roles).where(app_users.c.is_active, app_users.c.deleted_at.is_(None))
    if not any(ROLE_ADMIN in roles for roles in connection.scalars(active)):
        raise LastAdmin

"""The people and partners who may sign in."""

from __future__ import annotations

from collections.abc import Sequence

from marshmallow import ValidationError, validate
from sqlalchemy import Connection, insert, select

from shared.columns import sort_key
from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT, identity_changed
from shared.models import app_users
from shared.times import utc_now

ROLES = (ROLE_API_CLIENT, ROLE_ADMIN)
EMAIL_LENGTH = 255


class EmailTaken(Exception):
    """Another user has this email."""


def check_email(email: str) -> None:
    """Raises ValidationError for what is no email address of at most EMAIL_LENGTH characters."""
    validate.Email(error="This value is not a valid email address")(email)
    if len(email) > EMAIL_LENGTH:
        raise ValidationError(f"Longer than maximum length {EMAIL_LENGTH}.")


def find_user_id(connection: Connection, email: str) -> int | None:
    """The id of the user with this email, however it is written."""
    found: int | None = connection.scalar(
        select(app_users.c.id).where(app_users.c.email_key == sort_key(email))
    )
    return found


def create_user(
    connection: Connection,
    email: str,
    password_hash: str | None,
    roles: Sequence[str],
    full_name: str | None = None,
) -> int:
    """Inserts an active user and returns its id. Raises EmailTaken."""
    if find_user_id(connection, email) is not None:
        raise EmailTaken(email)
    now = utc_now()
    result = connection.execute(
        insert(app_users).values(
            email=email,
            email_key=sort_key(email),
            password_hash=password_hash,
            full_name=full_name,
            roles=list(roles),
            is_active=True,
            token_version=1,
            created_at=now,
            updated_at=now,
        )
    )
    identity_changed(connection)
    key = result.inserted_primary_key
    return int(key[0]) if key else 0

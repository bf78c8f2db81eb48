"""Managing who may sign in: `/admin/api/user/`."""

from __future__ import annotations

from typing import Any, cast

from flask import Blueprint, Response, current_app, request
from marshmallow import Schema, fields, validate
from sqlalchemy import ColumnElement, String, func, or_, select
from sqlalchemy import cast as sql_cast

from admin_service.access_tokens import token_bodies
from admin_service.answers import CHANGED_USER, NEW_USER, ONE_USER, USER_CREATED, USERS
from admin_service.database import engine_of_app
from admin_service.pagination import READ_HEADERS, PageSchema, page_of
from admin_service.user_records import (
    ROLES,
    change_user,
    create_user,
    delete_user,
    revoke_tokens,
    user_body,
    user_row,
)
from shared.access import signed_in
from shared.bodies import json_object
from shared.columns import sort_key
from shared.database import writing
from shared.errors import success, validation_failed
from shared.identity import ROLE_ADMIN
from shared.json_fields import EMAIL_LENGTH, EMAIL_MESSAGE, EmailUpToLength, JsonBoolean, JsonInteger
from shared.models import app_users
from shared.openapi import DONE, answers, takes
from shared.passwords import MIN_PASSWORD, Passwords
from shared.settings import DEMO_PASSWORD, Settings

blueprint = Blueprint("users", __name__, url_prefix="/admin/api/user")


class UserSchema(Schema):
    """A user as an admin describes it."""

    email = fields.String(
        required=True, validate=[EmailUpToLength(error=EMAIL_MESSAGE), validate.Length(max=EMAIL_LENGTH)]
    )
    password = fields.String(validate=validate.Length(min=MIN_PASSWORD, max=1024))
    fullName = fields.String(allow_none=True, validate=validate.Length(max=255), attribute="full_name")
    roles = fields.List(fields.String(validate=validate.OneOf(ROLES)), validate=validate.Length(min=1))
    description = fields.String(allow_none=True, validate=validate.Length(max=10_000))
    sourceUrl = fields.String(allow_none=True, validate=validate.Length(max=2048), attribute="source_url")
    rateLimitPerMinute = JsonInteger(
        allow_none=True, validate=validate.Range(1, 10**9), attribute="rate_limit_per_minute"
    )


class ChangedUserSchema(UserSchema):
    """A user as an admin changes it."""

    isActive = JsonBoolean(attribute="is_active")


class UsersQuery(PageSchema):
    """The parameters of the list of users."""

    q = fields.String(validate=validate.Length(max=255))
    role = fields.String(validate=validate.OneOf(ROLES))
    isActive = fields.Boolean(truthy={"true"}, falsy={"false"})
    include_access_tokens = fields.Boolean(truthy={"true"}, falsy={"false"}, load_default=False)


_new_user, _replaced_user, _changed_user = UserSchema(), ChangedUserSchema(), ChangedUserSchema(partial=True)
_users_query = UsersQuery()

# What PUT sets where it names nothing; a password that is not named stays.
_REPLACED: dict[str, Any] = {
    "full_name": None,
    "roles": [ROLES[0]],
    "description": None,
    "source_url": None,
    "rate_limit_per_minute": None,
    "is_active": True,
}


@blueprint.get("/")
@signed_in(ROLE_ADMIN)
@takes(query=_users_query)
@answers(USERS)
def list_users() -> Response:
    """One page of users, in the order in which they were made."""
    query = _users_query.load(request.args.to_dict())
    page, limit = query["page"], query["limit"]
    wanted = _wanted(query)
    statement = select(app_users).where(*wanted).order_by(app_users.c.id)
    with engine_of_app().connect() as connection:
        total = connection.scalar(select(func.count()).select_from(app_users).where(*wanted)) or 0
        rows = connection.execute(statement.limit(limit).offset((page - 1) * limit)).all()
        items = [user_body(row) for row in rows]
        if query["include_access_tokens"]:
            tokens = token_bodies(connection, [row.id for row in rows])
            items = [item | {"accessTokens": tokens.get(item["id"], [])} for item in items]
    return success(200, "Users", page_of(items, page, limit, total), READ_HEADERS)


def _wanted(query: dict[str, Any]) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [app_users.c.deleted_at.is_(None)]
    if "q" in query:
        columns = (app_users.c.email_key, app_users.c.full_name_key)
        wanted.append(or_(*(func.instr(column, sort_key(query["q"])) > 0 for column in columns)))
    if "role" in query:
        wanted.append(sql_cast(app_users.c.roles, String(255)).like(f'%"{query["role"]}"%'))
    if "isActive" in query:
        wanted.append(app_users.c.is_active.is_(query["isActive"]))
    return wanted


def _columns(described: dict[str, Any]) -> dict[str, Any]:
    """The columns for what an admin described, the password hashed."""
    columns = dict(described)
    password = columns.pop("password", None)
    if password is not None:
        settings: Settings = current_app.config["SETTINGS"]
        if settings.app_env == "production" and password == DEMO_PASSWORD:
            raise validation_failed({"password": ["This value is the demo password"]})
        passwords = cast(Passwords, current_app.extensions["leadgate.passwords"])
        columns["password_hash"] = passwords.hash(password)
    return columns


@blueprint.get("/<int:user_id>")
@signed_in(ROLE_ADMIN)
@answers(ONE_USER, errors=(404,))
def get_user(user_id: int) -> Response:
    """One user."""
    with engine_of_app().connect() as connection:
        return success(200, "User", user_body(user_row(connection, user_id)), READ_HEADERS)


@blueprint.post("/")
@signed_in(ROLE_ADMIN)
@takes(body=_new_user, example=NEW_USER)
@answers(USER_CREATED, errors=(422,))
def post_user() -> Response:
    """Registers a user."""
    values = _columns(_new_user.load(json_object()))
    with writing(engine_of_app()).begin() as connection:
        user = user_body(create_user(connection, values))
    return success(201, "User created", user, {"Location": f"/admin/api/user/{user['id']}"})


@blueprint.put("/<int:user_id>")
@signed_in(ROLE_ADMIN)
@takes(body=_replaced_user, example=NEW_USER)
@answers(DONE, errors=(404, 409, 422))
def put_user(user_id: int) -> Response:
    """Replaces a user; a password that is not named stays."""
    values = _REPLACED | _columns(_replaced_user.load(json_object()))
    with writing(engine_of_app()).begin() as connection:
        change_user(connection, user_id, values)
    return Response(status=204)


@blueprint.patch("/<int:user_id>")
@signed_in(ROLE_ADMIN)
@takes(body=_changed_user, example=CHANGED_USER)
@answers(DONE, errors=(404, 409, 422))
def patch_user(user_id: int) -> Response:
    """Changes what is named of a user."""
    values = _columns(_changed_user.load(json_object()))
    with writing(engine_of_app()).begin() as connection:
        change_user(connection, user_id, values)
    return Response(status=204)


@blueprint.delete("/<int:user_id>")
@signed_in(ROLE_ADMIN)
@answers(DONE, errors=(404, 409))
def remove_user(user_id: int) -> Response:
    """Deletes a user; its leads stay."""
    with writing(engine_of_app()).begin() as connection:
        delete_user(connection, user_id)
    return Response(status=204)


@blueprint.post("/<int:user_id>/revoke_tokens")
@signed_in(ROLE_ADMIN)
@answers(DONE, errors=(404,))
def post_revoke_tokens(user_id: int) -> Response:
    """Revokes every JWT of a user that was issued so far."""
    with writing(engine_of_app()).begin() as connection:
        revoke_tokens(connection, user_id)
    return Response(status=204)

"""What a client may ask for in a URL: pages, ids; and how what it reads is answered."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from flask import request
from marshmallow import Schema, fields, pre_load, validate

from shared.errors import ApiError, validation_failed

MAX_LIMIT = 100
MAX_PAGE = 10**9
READ_HEADERS = {"Cache-Control": "private, no-cache"}  # personal data, which nobody in between may keep
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class PageSchema(Schema):
    """`page` and `limit` of a list."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, MAX_PAGE))
    limit = fields.Integer(load_default=10, validate=validate.Range(1, MAX_LIMIT))


class SortedPageSchema(PageSchema):
    """A page of a list with an order."""

    sortOrder = fields.String(load_default="DESC", validate=validate.OneOf(["ASC", "DESC"]))

    @pre_load
    def capitals(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        if "sortOrder" in data:
            data["sortOrder"] = data["sortOrder"].upper()
        return data


def query_parameters() -> dict[str, Any]:
    """The parameters in the URL of the current request. Raises ApiError 400 where one is there twice."""
    twice = [name for name, values in request.args.lists() if len(values) > 1]
    if twice:
        raise validation_failed({name: ["This value is there more than once"] for name in twice})
    return request.args.to_dict()


def id_in_url(text: str, not_found: str) -> UUID:
    """The id in a URL, in its one usual spelling. Raises ApiError 404 `not_found` for any other text."""
    if not _UUID.fullmatch(text):
        raise ApiError(404, not_found)
    return UUID(text)


def page_of(
    items: list[dict[str, Any]], page: int, limit: int, total: int, *, is_exact: bool = True
) -> dict[str, Any]:
    """The `data` of a list."""
    return {
        "items": items,
        "pagination": {
            "page": page,
            "limit": limit,
            "total": total,
            "totalIsExact": is_exact,
            "total_pages": -(-total // limit),
        },
    }

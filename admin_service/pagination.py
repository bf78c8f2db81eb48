"""Pages: what a client may ask for, and how a page is answered."""

from __future__ import annotations

from typing import Any

from flask import request
from marshmallow import Schema, fields, pre_load, validate

from shared.errors import validation_failed

MAX_LIMIT = 100
MAX_PAGE = 10**9


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

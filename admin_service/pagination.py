"""Pages: what a client may ask for, and how a page is answered."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, pre_load, validate

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


def page_of(items: list[dict[str, Any]], page: int, limit: int, total: int) -> dict[str, Any]:
    """The `data` of a list."""
    return {
        "items": items,
        "pagination": {
            "page": page,
            "limit": limit,
            "total": total,
            "totalIsExact": True,
            "total_pages": -(-total // limit),
        },
    }

"""What answers are made of, in JSON Schema 2020-12: ids, times, envelopes, pages, errors.

Each piece carries an example, and the example of a whole is put together from those of its pieces. A piece
with a `title` becomes a component of the API's document.
"""

from __future__ import annotations

import http
from collections.abc import Mapping
from typing import Any

from shared.errors import seed_word

JsonSchema = dict[str, Any]

MAX_INTEGER = 2**63 - 1


def text(example: str, **more: Any) -> JsonSchema:
    return {"type": "string", **more, "examples": [example]}


def integer(example: int, *, minimum: int = 0, **more: Any) -> JsonSchema:
    return {"type": "integer", "minimum": minimum, **more, "examples": [example]}


def one_of(*values: str) -> JsonSchema:
    return {"type": "string", "enum": list(values)}


def nullable(schema: JsonSchema) -> JsonSchema:
    """The same, or null."""
    more = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return schema | more | {"type": [schema["type"], "null"]}


def list_of(items: JsonSchema, **more: Any) -> JsonSchema:
    return {"type": "array", "items": items, **more}


def closed(
    title: str | None, properties: Mapping[str, JsonSchema], optional: Mapping[str, JsonSchema] | None = None
) -> JsonSchema:
    """An object with all of `properties`, perhaps some of `optional`, and nothing else."""
    schema: JsonSchema = {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"title": title} | schema if title else schema


UUID = text("01a1fc6d-3478-7762-981d-793090695ac9", format="uuid")
TIME = text("2026-11-21T04:46:17.720505Z", format="date-time", pattern="Z$")
EMAIL = text("ada@example.com", maxLength=255)
BOOLEAN: JsonSchema = {"type": "boolean", "examples": [False]}
JSON_OBJECT: JsonSchema = {"type": "object", "examples": [{"source": "spring campaign"}]}
NUMBER_ID = integer(7, minimum=1, format="int64")


def enveloped(code: int, message: str, data: JsonSchema, status: str = "success") -> JsonSchema:
    """`data` in the envelope of every success."""
    return closed(None, _head(code, status, message) | {"data": data})


def _head(code: int, status: str, message: str) -> dict[str, JsonSchema]:
    return {"status": {"const": status}, "code": {"const": code}, "message": text(message)}


PAGINATION = closed(
    "Pagination",
    {
        "page": integer(1, minimum=1),
        "limit": integer(10),
        "total": integer(1),
        "totalIsExact": {"type": "boolean", "examples": [True]},
        "total_pages": integer(1),
    },
)


CURSOR_PAGINATION = closed(
    "CursorPagination",
    PAGINATION["properties"]
    | {
        "nextCursor": nullable(text("uK3xJ0q2bX8BAAAAAQAGUy_yqReI"))
        | {"description": "Where it goes on; null on the last page."}
    },
)


def page_of(item: JsonSchema, pagination: JsonSchema = PAGINATION) -> JsonSchema:
    """The `data` of a list."""
    return closed(None, {"items": list_of(item), "pagination": pagination})


FIELD_ERRORS: JsonSchema = {
    "title": "FieldErrors",
    "description": "For each field at fault, by its dotted path, what is wrong with it.",
    "type": "object",
    "additionalProperties": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    "examples": [{"email": ["This value is not a valid email address"]}],
}

# For each code, when it is answered, and what it then says.
ERRORS = {
    400: ("What was sent cannot be read or is not valid; `errors` names the fields.", "Validation failed"),
    401: ("No credentials, or none that are good any more.", "JWT Token not found"),
    403: ("A JWT that is not ours, or a caller without the role.", "Access denied"),
    404: ("There is no such thing.", "Not found"),
    409: ("It would contradict what is there.", "Conflict"),
    413: ("The body is too long.", "The data value transmitted exceeds the capacity limit."),
    414: ("The URL is too long.", "Request Line is too large (8192 > 4094)"),
    415: ("The body is of another kind.", "The body must be JSON: Content-Type: application/json"),
    422: ("It belongs to somebody else already.", "Email already in use"),
    429: ("Too many requests; come back after `retry_after` seconds.", "Rate limit exceeded"),
    500: ("A fault of ours; the log has it under the request id.", "Internal server error"),
    503: ("Not now; send it again later.", "Users cannot be checked now; try again"),
}
_RETRY = {"retry_after": integer(17, minimum=1)}


def error(code: int) -> JsonSchema:
    """The error in the envelope that most routes answer."""
    return _error(code, "error", ERRORS[code][1])


def seed_error(code: int) -> JsonSchema:
    """The error in the words of the first seed, on its routes."""
    schema = _error(code, "error" if code == 429 else seed_word(code), ERRORS[code][1])
    if code == 404:
        # What cannot be the id of anything names no route, and that is the caller's mistake.
        schema["properties"]["status"] = one_of(seed_word(404), seed_word(400))
    return schema


def _error(code: int, status: str, message: str) -> JsonSchema:
    return closed(None, _head(code, status, message) | _more_of(code), {"errors": FIELD_ERRORS})


def problem(code: int, data: JsonSchema | None = None) -> JsonSchema:
    """The error as RFC 9457, for those who ask for it; perhaps with that `data`."""
    fields: dict[str, JsonSchema] = {
        "type": {"const": "about:blank"},
        "title": {"const": http.HTTPStatus(code).phrase},
        "status": {"const": code},
        "detail": text(ERRORS[code][1]),
    }
    optional = {"errors": FIELD_ERRORS} | ({} if data is None else {"data": data})
    return closed(None, fields | _more_of(code), optional)


def _more_of(code: int) -> dict[str, JsonSchema]:
    return _RETRY if code == 429 else {}


_WHOLE = {"type": "integer", "minimum": 0}
HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "The key under which logs, messages and the stored lead are found.",
        "required": True,
        "schema": text("6f1f0f3c2b1d4c0e9a54e7a1c2b3d4e5", pattern="^[A-Za-z0-9._-]{1,64}$"),
    },
    "Location": {"description": "Where it is read back.", "required": True, "schema": {"type": "string"}},
    "Content-Disposition": {
        "description": "The name of the file to save it as.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "Seconds to wait.", "required": True, "schema": _WHOLE},
    "WWW-Authenticate": {"description": "How to sign in.", "required": True, "schema": {"type": "string"}},
    "X-RateLimit-Limit": {"description": "Requests in each minute.", "schema": _WHOLE},
    "X-RateLimit-Remaining": {"description": "Those that are left.", "schema": _WHOLE},
    "X-RateLimit-Reset": {"description": "Whole seconds to the next minute.", "schema": _WHOLE},
    "RateLimit-Policy": {
        "description": "The limit, as the IETF draft has it.",
        "schema": text('"client";q=1000;w=60'),
    },
    "RateLimit": {
        "description": "What is left of it, as the IETF draft has it.",
        "schema": text('"client";r=999;t=42'),
    },
    "ETag": {"description": "Changes when the answer does.", "schema": {"type": "string"}},
}
RATE_LIMIT_HEADERS = tuple(name for name in HEADERS if "RateLimit" in name)
HEADERS_OF_CODE = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}


def example_of(schema: JsonSchema) -> Any:
    """A value that the schema describes, put together from its examples; optional fields are left out."""
    if "const" in schema:
        return schema["const"]
    for examples in ("examples", "enum"):
        if examples in schema:
            return schema[examples][0]
    for alternatives in ("anyOf", "oneOf"):
        if alternatives in schema:
            return example_of(schema[alternatives][0])
    if schema.get("type") == "array":
        return [example_of(schema["items"])]
    return {name: example_of(schema["properties"][name]) for name in schema.get("required", ())}

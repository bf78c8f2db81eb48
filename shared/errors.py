"""The one shape of every error answer (contract, section 2)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import orjson
from flask import Flask, Response
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException

log = logging.getLogger("leadgate.errors")

FieldErrors = dict[str, list[str]]


class ApiError(Exception):
    """Ends a request with an error answer.

    `errors` maps dotted field paths to messages; `headers` are added to the answer.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        errors: FieldErrors | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.errors = errors
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def validation_failed(errors: FieldErrors) -> ApiError:
    """400 that blames fields: `errors` maps dotted field paths to messages."""
    return ApiError(400, "Validation failed", errors=errors)


def answer(code: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer with `body` as it stands."""
    response = Response(orjson.dumps(body), status=code, mimetype="application/json")
    response.headers.extend(headers or {})
    return response


def dotted(messages: Any, prefix: str = "") -> FieldErrors:
    """marshmallow's nested messages as one map from dotted field path to messages."""
    if not isinstance(messages, dict):
        return {prefix: [str(message) for message in messages]}
    flat: FieldErrors = {}
    for key, inner in messages.items():
        name = prefix if key == "_schema" else f"{prefix}.{key}" if prefix else str(key)
        flat.update(dotted(inner, name))
    return flat


def init_errors(app: Flask) -> None:
    """Makes every error of every route of `app` an answer of the one shape."""
    app.register_error_handler(ApiError, _answer_api_error)
    app.register_error_handler(ValidationError, _answer_validation_error)
    app.register_error_handler(HTTPException, _answer_http_exception)
    app.register_error_handler(Exception, _answer_fault_of_ours)


def _answer_api_error(error: ApiError) -> Response:
    body: dict[str, Any] = {"status": "error", "code": error.code, "message": error.message, **error.extra}
    if error.errors:
        body["errors"] = error.errors
    return answer(error.code, body, error.headers)


def _answer_validation_error(error: ValidationError) -> Response:
    return _answer_api_error(validation_failed(dotted(error.messages)))


def _answer_http_exception(error: HTTPException) -> Response:
    code = error.code or 500
    if error.response is not None or code < 400:
        return error.get_response()  # type: ignore[return-value]
    headers = dict(error.get_headers())
    headers.pop("Content-Type", None)
    return _answer_api_error(ApiError(code, error.description or error.name, headers=headers))


def _answer_fault_of_ours(error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return _answer_api_error(ApiError(500, "Internal server error"))

"""The one shape of every error answer (contract, section 2), and who wants it in other words."""

from __future__ import annotations

import http
import logging
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import orjson
from flask import Flask, Response, request
from marshmallow import ValidationError
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger("leadgate.errors")

PROBLEM = "application/problem+json"  # RFC 9457

# Routes of the first system that we replace: its clients read its words in `status`.
_SEED_ROUTE = re.compile(r"/(api/tracking|admin/api/user)(/|\Z)")
_SEED_WORDS = {
    401: "Unauthorized",
    403: "Unauthorized",
    404: "Not found",
    409: "Unprocessable",
    422: "Unprocessable",
    500: "Error",
}

# marshmallow's sentences, as the first seed would say them of a field.
_SEED_SENTENCES = {
    "Missing data for required field.": "This value is missing.",
    "Field may not be null.": "This value should not be null.",
    "Unknown field.": "This value is not known.",
    "Not a valid string.": "This value should be of type string.",
    "Not a valid integer.": "This value should be of type int.",
    "Not a valid list.": "This value should be of type array.",
}

FieldErrors = dict[str, list[str]]


class ApiError(Exception):
    """Ends a request with an error answer.

    `errors` maps dotted field paths to messages; `headers` are added to the answer, `extra` to its body.
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


def too_many_requests(seconds: int) -> ApiError:
    """429: the client may come again in that many seconds."""
    headers = {"Retry-After": str(seconds)}
    return ApiError(429, "Rate limit exceeded", headers=headers, extra={"retry_after": seconds})


class _WholeAnswer(Response):
    """An answer to a POST that goes to the server as it stands.

    Of every answer werkzeug makes a copy of the headers, and looks through it for an address to complete, a
    length to count, a body that must not be: 25 µs for what is so already.
    """

    def get_wsgi_response(
        self, environ: WSGIEnvironment
    ) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        if environ["REQUEST_METHOD"] != "POST" or self.status_code == 204 or self._on_close:
            return super().get_wsgi_response(environ)
        return self.iter_encoded(), self.status, self.headers.to_wsgi_list()


def answer(code: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer with `body` as it stands."""
    encoded = orjson.dumps(body)
    # Given as they are: werkzeug looks for a header before it sets it, 1 µs each.
    known = [("Content-Type", "application/json"), ("Content-Length", str(len(encoded)))]
    return _WholeAnswer([encoded], status=code, headers=Headers([*known, *(headers or {}).items()]))


def success(code: int, message: str, data: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer in the envelope of every success."""
    return answer(code, {"status": "success", "code": code, "message": message, "data": data}, headers)


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
    app.register_error_handler(ApiError, answer_error)
    app.register_error_handler(ValidationError, _answer_validation_error)
    app.register_error_handler(HTTPException, _answer_http_exception)
    app.register_error_handler(Exception, _answer_fault_of_ours)


def answer_error(error: ApiError) -> Response:
    """The answer to the current request that `error` asks for."""
    body: dict[str, Any] = {"status": "error", "code": error.code, "message": error.message, **error.extra}
    if error.errors:
        body["errors"] = error.errors
    if is_seed_route(request.path):
        body |= _in_seed_words(error)
    elif (request.accept_mimetypes.best or "").lower() == PROBLEM:
        return _answer_problem(error)
    return answer(error.code, body, error.headers)


def is_seed_route(path: str) -> bool:
    """Whether errors of this path are in the first seed's words."""
    return _SEED_ROUTE.match(path) is not None


def seed_word(code: int) -> str:
    """What the first seed says in `status` for an error of a route that is there."""
    return _SEED_WORDS.get(code, "Error" if code > 500 else "Invalid")


def _in_seed_words(error: ApiError) -> dict[str, Any]:
    """`status` in the first seed's words, and the first fault as `message`."""
    if error.code == 429:
        return {}
    # A path that leads nowhere is the caller's mistake.
    word = seed_word(error.code) if request.url_rule is not None or error.code != 404 else "Invalid"
    if not error.errors:
        return {"status": word}
    name, messages = next(iter(error.errors.items()))
    return {"status": word, "message": _about(name, messages[0])}


def _about(name: str, fault: str) -> str:
    """``This value `isActive` should be of type bool.`` for a fault of a field."""
    sentence = _SEED_SENTENCES.get(fault, fault).rstrip(".")
    if f"`{name}`" not in sentence:
        begin = "This value"
        named = f"{begin} `{name}`"
        sentence = sentence.replace(begin, named, 1) if sentence.startswith(begin) else f"{named}: {sentence}"
    return f"{sentence}."


def _answer_problem(error: ApiError) -> Response:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": http.HTTPStatus(error.code).phrase,
        "status": error.code,
        "detail": error.message,
        **error.extra,
    }
    if error.errors:
        body["errors"] = error.errors
    response = answer(error.code, body, error.headers)
    response.mimetype = PROBLEM
    return response


def _answer_validation_error(error: ValidationError) -> Response:
    return answer_error(validation_failed(dotted(error.messages)))


def _answer_http_exception(error: HTTPException) -> Response:
    code = error.code or 500
    if error.response is not None or code < 400:
        return error.get_response()  # type: ignore[return-value]
    headers = dict(error.get_headers())
    headers.pop("Content-Type", None)
    return answer_error(ApiError(code, error.description or error.name, headers=headers))


def _answer_fault_of_ours(error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return answer_error(ApiError(500, "Internal server error"))

"""The id under which a request is found again: in its answer, its log lines, its message, its lead."""

from __future__ import annotations

import re
import secrets

from flask import Flask, Response

from shared.current import current_g, current_request

_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def init_request_ids(app: Flask) -> None:
    """Gives every request of `app` an id in `g.request_id`: the client's if it sent a sane one."""
    app.before_request(_choose)
    app.after_request(_answer)


def _choose() -> None:
    sent = current_request().environ.get("HTTP_X_REQUEST_ID")
    current_g().request_id = sent if sent and _SANE.fullmatch(sent) else secrets.token_hex(16)


def _answer(response: Response) -> Response:
    response.headers.add("X-Request-ID", current_g().request_id)
    return response

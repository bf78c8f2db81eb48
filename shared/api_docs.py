"""The API's document at `…/openapi.json` and a page that shows it at `…/docs`, open to all.

The page and all it loads come from here, and its Content-Security-Policy lets it ask nobody else. Its links
are relative, so it works behind any gateway.
"""

from __future__ import annotations

import threading
from importlib.resources import files
from pathlib import Path
from typing import Any

import flask_swagger_ui
import orjson
from flask import Blueprint, Flask, Response, abort, render_template_string, request, send_from_directory

from shared.access import open_to_all
from shared.api_document import build_document
from shared.openapi import Answer, answers, not_of_the_api

CACHE_CONTROL = "public, max-age=3600"
EXTENSION = "leadgate.api_document"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_OURS = Path(str(files("shared") / "docs_page"))
_SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
# What the page loads, and where it lies.
ASSETS = {
    "start.js": _OURS,
    "swagger-ui-bundle.js": _SWAGGER_UI,
    "swagger-ui.css": _SWAGGER_UI,
    "favicon-32x32.png": _SWAGGER_UI,
}


class ApiDocument:
    """The document of `app`, put together when it is first asked for: all routes are there by then."""

    def __init__(self, app: Flask, title: str, about: str) -> None:
        self._app = app
        self._title = title
        self._about = about
        self._lock = threading.Lock()
        self._document: dict[str, Any] | None = None

    def get(self) -> dict[str, Any]:
        with self._lock:
            if self._document is None:
                self._document = build_document(self._app, self._title, self._about)
            return self._document


def document_of(app: Flask) -> ApiDocument:
    """The document that `app` was built with."""
    document: ApiDocument = app.extensions[EXTENSION]
    return document


def publish_api(app: Flask, prefix: str, title: str, about: str) -> None:
    """Gives `app` the routes of its document and of its page, below `prefix`."""
    api_document = app.extensions[EXTENSION] = ApiDocument(app, title, about)
    page = (_OURS / "page.html").read_text("utf-8")
    blueprint = Blueprint("api_docs", __name__, url_prefix=prefix)

    @blueprint.get("/openapi.json")
    @open_to_all
    @answers({200: Answer("OpenAPI 3.1", {"type": "object", "examples": [{"openapi": "3.1.0"}]})})
    def openapi() -> Response:
        """This document."""
        response = Response(orjson.dumps(api_document.get()), mimetype="application/json")
        response.headers["Cache-Control"] = CACHE_CONTROL
        return response

    @blueprint.get("/docs")
    @open_to_all
    @not_of_the_api
    def docs_page() -> Response:
        """The page."""
        # Relative to where the browser is, which may have asked for the page with a slash at its end.
        above, assets = ("../", "") if request.path.endswith("/") else ("", "docs/")
        html = render_template_string(page, title=title, assets=assets, document=f"{above}openapi.json")
        return _for_browsers(Response(html, mimetype="text/html"))

    @blueprint.get("/docs/<name>")
    @open_to_all
    @not_of_the_api
    def docs_asset(name: str) -> Response:
        """A part of the page."""
        if name not in ASSETS:
            abort(404)
        return _for_browsers(send_from_directory(ASSETS[name], name))

    app.register_blueprint(blueprint)


def _for_browsers(response: Response) -> Response:
    response.headers["Cache-Control"] = CACHE_CONTROL
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response

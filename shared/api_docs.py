"""The API's document at `…/openapi.json`, open to all."""

from __future__ import annotations

import threading
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, current_app

from shared.access import open_to_all
from shared.api_document import build_document
from shared.openapi import Answer, answers

CACHE = {"Cache-Control": "public, max-age=3600"}
EXTENSION = "leadgate.api_document"


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
    """Gives `app` the route of its document, below `prefix`."""
    app.extensions[EXTENSION] = ApiDocument(app, title, about)
    blueprint = Blueprint("api_docs", __name__, url_prefix=prefix)

    @blueprint.get("/openapi.json")
    @open_to_all
    @answers({200: Answer("OpenAPI 3.1", {"type": "object", "examples": [{"openapi": "3.1.0"}]})})
    def openapi() -> Response:
        """This document."""
        body = orjson.dumps(document_of(current_app).get())
        return Response(body, mimetype="application/json", headers=CACHE)

    app.register_blueprint(blueprint)

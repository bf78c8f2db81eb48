"""Compares every answer that our apps give in tests with the documents of their APIs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs
import orjson
from flask import Flask, Response, request

from shared.api_docs import EXTENSION, document_of
from shared.api_document import path_of
from shared.openapi import description_of

JsonObject = dict[str, Any]


class ApiGuard:
    """Sees the answers of the apps that have a document; what a document does not know is a fault."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._documents: dict[str, DocumentedApi] = {}

    def see(self, app: Flask, response: Response, **_: object) -> None:
        """Looks at the answer to the current request."""
        if EXTENSION not in app.extensions or request.url_rule is None or request.method == "OPTIONS":
            return
        if description_of(app.view_functions[request.url_rule.endpoint]) is None:
            return  # a page, or a route that a test has made
        if app.import_name not in self._documents:
            self._documents[app.import_name] = DocumentedApi(document_of(app).get())
        method = "GET" if request.method == "HEAD" else request.method
        operation = (path_of(request.url_rule), method.lower())
        fault = self._documents[app.import_name].fault(operation, response)
        if fault:
            self.faults.append(f"{request.method} {request.url_rule.rule} {response.status_code}: {fault}")


class DocumentedApi:
    """A document, ready to be compared with answers."""

    def __init__(self, document: JsonObject) -> None:
        self._document = document
        self._validator = lru_cache(maxsize=None)(self._compiled)

    def fault(self, operation: tuple[str, str], response: Response) -> str | None:
        """What the document does not know of an answer of an operation (a path and a method)."""
        path, method = operation
        if path not in self._document["paths"]:
            return "no such path in the document"
        responses = self._document["paths"][path][method]["responses"]
        if str(response.status_code) not in responses:
            return "no such status in the document"
        answer = self._resolved(responses[str(response.status_code)])
        for name, header in answer["headers"].items():
            if self._resolved(header).get("required") and name not in response.headers:
                return f"no header {name}"
        content: Mapping[str, Any] = answer.get("content", {})
        is_bare = request.method == "HEAD" or response.status_code == 304  # the server sends no body
        if is_bare or (not content and not response.data):
            return None
        if response.mimetype not in content:
            return f"no body of type {response.mimetype} in the document"
        if response.is_streamed or not response.mimetype.endswith("json"):
            return None
        validator = self._validator(path, method, str(response.status_code), response.mimetype)
        body = orjson.loads(response.data)
        return "; ".join(f"{error.message} at {error.instance_path}" for error in validator.iter_errors(body))

    def _compiled(self, path: str, method: str, status: str, media_type: str) -> Any:
        answer = self._resolved(self._document["paths"][path][method]["responses"][status])
        schema = answer["content"][media_type]["schema"]
        whole = schema | {"components": {"schemas": self._document["components"]["schemas"]}}
        return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)

    def _resolved(self, part: JsonObject) -> JsonObject:
        """The component that a part of the document refers to, or the part itself."""
        if "$ref" not in part:
            return part
        kind, name = part["$ref"].split("/")[-2:]
        component: JsonObject = self._document["components"][kind][name]
        return component

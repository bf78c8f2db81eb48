"""The documents of both APIs: true to OpenAPI 3.1, complete, with examples that hold; and their guard."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from flask import Flask, Response, request_finished
from flask.testing import FlaskClient
from schemathesis.specs.openapi.definitions import OPENAPI_31

from shared.access import open_to_all
from shared.api_docs import document_of
from shared.api_document import API_VERSION, path_of
from shared.api_schemas import BOOLEAN, closed
from shared.errors import answer
from shared.openapi import Answer, answers, description_of, is_described
from tests.api_guard import ApiGuard

ROOT = Path(__file__).parents[3]
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(params=["ingest_app", "admin_app"])
def app(request: pytest.FixtureRequest) -> Flask:
    app: Flask = request.getfixturevalue(request.param)
    return app


@pytest.fixture
def document(app: Flask) -> dict[str, Any]:
    return document_of(app).get()


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    validator = jsonschema.Draft202012Validator(OPENAPI_31)
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)] == []


def test_its_schemas_are_json_schema_2020_12(document: dict[str, Any]) -> None:
    for schema in schemas_in(document):
        jsonschema.Draft202012Validator.check_schema(schema)
        assert "nullable" not in schema
        assert "example" not in schema


def schemas_in(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        for name, inner in part.items():
            if name == "schema":
                yield inner
            elif name == "schemas":
                yield from inner.values()
            elif name not in ("example", "examples"):
                yield from schemas_in(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from schemas_in(inner)


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    seen = 0
    for content in contents_in(document):
        assert content["example"] is not None
        whole = content["schema"] | {"components": document["components"]}
        validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        assert [str(error) for error in validator.iter_errors(content["example"])] == []
        seen += 1
    assert seen > 10


def contents_in(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        for name, inner in part.items():
            yield from inner.values() if name == "content" else contents_in(inner)


def test_every_operation_says_who_may_call_it_and_what_it_is_for(document: dict[str, Any]) -> None:
    described = list(operations(document))
    assert all(operation["summary"].endswith(".") for operation in described)
    assert all(operation["security"] in ([], [{"jwt": []}, {"apiKey": []}]) for operation in described)
    ids = [operation["operationId"] for operation in described]
    assert len(set(ids)) == len(ids)


def test_every_reference_leads_somewhere_and_every_component_is_used(document: dict[str, Any]) -> None:
    referred = set(references_in(document))
    there = {
        f"#/components/{kind}/{name}"
        for kind, components in document["components"].items()
        for name in components
        if kind != "securitySchemes"
    }
    assert referred == there


def references_in(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references_in(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references_in(inner)


def test_every_route_is_described(app: Flask, document: dict[str, Any]) -> None:
    rules = list(app.url_map.iter_rules())
    assert [rule.rule for rule in rules if not is_described(app.view_functions[rule.endpoint])] == []
    of_the_api = [rule for rule in rules if description_of(app.view_functions[rule.endpoint])]
    assert {path_of(rule) for rule in of_the_api} == set(document["paths"])


def test_its_version_is_that_of_the_product(document: dict[str, Any]) -> None:
    product = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert document["info"]["version"] == product == API_VERSION


def test_everyone_may_read_it_and_keep_it_for_an_hour(app: Flask, document: dict[str, Any]) -> None:
    path = next(path for path in document["paths"] if path.endswith("/openapi.json"))
    response = app.test_client().get(path)
    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert response.headers["Cache-Control"] == "public, max-age=3600"
    assert response.get_json() == document


@pytest.fixture
def liar(ingest_app: Flask) -> FlaskClient:
    """An app with a route that answers what it is asked to."""

    @ingest_app.get("/liar/<what>")
    @open_to_all
    @answers({200: Answer("The truth", closed(None, {"truth": BOOLEAN}))})
    def liar(what: str) -> Response:
        """The truth."""
        if what == "text":
            return Response("truth", mimetype="text/plain")
        return answer(418 if what == "status" else 200, {what: True})

    return ingest_app.test_client()


@pytest.fixture
def guard(api_guard: ApiGuard) -> Iterator[ApiGuard]:
    """A guard of this test's own; that of all tests shall not mind."""
    guard = ApiGuard()
    with request_finished.connected_to(guard.see):
        yield guard
    api_guard.faults.clear()


@pytest.mark.parametrize(
    ("what", "fault"),
    [
        ("status", "no such status in the document"),
        ("text", "no body of type text/plain in the document"),
        ("lie", '"truth" is a required property'),
    ],
)
def test_an_answer_that_is_not_in_the_document_is_noticed(
    liar: FlaskClient, guard: ApiGuard, what: str, fault: str
) -> None:
    liar.get("/liar/truth")
    assert guard.faults == []
    liar.get(f"/liar/{what}")
    assert len(guard.faults) == 1
    assert fault in guard.faults[0]

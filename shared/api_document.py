"""The OpenAPI 3.1 document of a service, from what its views say and the schemas they validate by."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from flask import Flask
from marshmallow import Schema, fields, validate
from werkzeug.routing import Rule

from shared.api_schemas import (
    ERRORS,
    HEADERS,
    HEADERS_OF_CODE,
    MAX_INTEGER,
    RATE_LIMIT_HEADERS,
    UUID,
    JsonSchema,
    error,
    example_of,
    problem,
    seed_error,
)
from shared.errors import PROBLEM, is_seed_route
from shared.openapi import JSON, Answer, Description, description_of

OPENAPI_VERSION = "3.1.0"
API_VERSION = "0.1.0"

SECURITY_SCHEMES = {
    "jwt": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "From `POST /api/login_check`, good for an hour.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-AUTH-Token", "description": "From an admin."},
}
REQUEST_HEADERS: dict[str, dict[str, Any]] = {
    "Idempotency-Key": {
        "description": "Under the same key, bare or in quotes, a lead has the same id and is stored once.",
        "schema": {
            "type": "string",
            "pattern": r'^("([ !#-\[\]-~]|\\["\\]){1,255}"|[!#-~][ -~]{0,254})$',
            "examples": ["order-7"],
        },
    },
    "If-None-Match": {
        "description": "ETags; if the answer has one of them still, it is 304 without a body.",
        "schema": {"type": "string"},
    },
    "X-Request-ID": {
        "description": "Kept if it is 1 to 64 of `A-Z a-z 0-9 . _ -`; else the request gets a new one.",
        "schema": {"type": "string"},
    },
}
# By the name of the parameter, or else by the converter in its rule.
PATH_PARAMETERS: dict[str, JsonSchema] = {
    "lead_id": UUID,
    "uuid": UUID,
    "int": {"type": "integer", "minimum": 1, "maximum": MAX_INTEGER, "format": "int64"},
    "": {"type": "string", "minLength": 1},
}
_PARAMETER = re.compile(r"<(?:([^<>:]+):)?([^<>]+)>")


def build_document(app: Flask, title: str, about: str) -> dict[str, Any]:
    """The document of every view of `app` that says what it answers."""
    spec = APISpec(
        title=title,
        version=API_VERSION,
        openapi_version=OPENAPI_VERSION,
        plugins=[_Schemas(schema_name_resolver=_name_of)],
        info={"description": about},
        servers=[{"url": "/", "description": "Where this document comes from"}],
    )
    for name, scheme in SECURITY_SCHEMES.items():
        spec.components.security_scheme(name, scheme)
    writer = _Writer(spec)
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        view = app.view_functions[rule.endpoint]
        if (described := description_of(view)) is not None:
            writer.add(rule, view, described)
    return spec.to_dict()


def path_of(rule: Rule) -> str:
    """The rule's path as the document has it."""
    return _PARAMETER.sub(r"{\2}", rule.rule)


class _Writer:
    """Writes operations into `spec`, and once each what they share."""

    def __init__(self, spec: APISpec) -> None:
        self._spec = spec
        self._components: dict[str, JsonSchema] = {}
        self._shared: set[str] = set()

    def add(self, rule: Rule, view: Callable[..., Any], described: Description) -> None:
        """Each method of `rule` as an operation."""
        path = path_of(rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            operation = self._operation(rule, view, described)
            self._spec.path(path=path, operations={method.lower(): operation})

    def _operation(self, rule: Rule, view: Callable[..., Any], described: Description) -> dict[str, Any]:
        summary, _, description = (inspect.getdoc(view) or "").partition("\n")
        who = "" if described.role is None else f"For `{described.role}`."
        operation: dict[str, Any] = {
            "operationId": view.__name__,
            "tags": [self._tag(rule, view)],
            "summary": summary,
            "description": "\n\n".join(filter(None, [description.strip(), who])),
            "parameters": [*_path_parameters(rule), *self._parameters(described)],
            "responses": self._responses(rule, described),
            "security": [] if described.role is None else [{name: []} for name in SECURITY_SCHEMES],
        }
        if described.takes.body is not None:
            operation["requestBody"] = _request_body(described)
        return operation

    def _tag(self, rule: Rule, view: Callable[..., Any]) -> str:
        """The blueprint's name; the first line of the view's module says what it is about."""
        name: str = rule.endpoint.rpartition(".")[0].replace("_", " ")
        if self._is_new(f"tag {name}"):
            about = (inspect.getdoc(inspect.getmodule(view)) or "").partition("\n")[0]
            self._spec.tag({"name": name, "description": about})
        return name

    def _parameters(self, described: Description) -> Iterator[Any]:
        if described.takes.query is not None:
            yield {"in": "query", "schema": described.takes.query}
        for name in (*described.takes.headers, "X-Request-ID"):
            if self._is_new(f"parameter {name}"):
                self._spec.components.parameter(name, "header", {"name": name, **REQUEST_HEADERS[name]})
            yield name

    def _responses(self, rule: Rule, described: Description) -> dict[str, Any]:
        by_code = described.answers.by_code
        is_limited = described.answers.is_limited or described.role is not None
        limit: tuple[str, ...] = RATE_LIMIT_HEADERS if is_limited else ()
        responses: dict[str, Any] = {}
        for code in sorted({*by_code, *_error_codes(rule, described)}):
            if code == 414:
                responses["414"] = self._shared_error(code, in_seed_words=False, limit=())  # the server's own
            elif code not in by_code:
                responses[str(code)] = self._shared_error(code, is_seed_route(rule.rule), limit)
            elif code < 400:
                responses[str(code)] = self._response(by_code[code], limit)
            else:
                responses[str(code)] = self._own_error(code, by_code[code], limit)
        return responses

    def _response(self, answer: Answer, limit: tuple[str, ...]) -> dict[str, Any]:
        content = {}
        if answer.body is not None:
            body = {"schema": self._hoisted(answer.body), "example": example_of(answer.body)}
            content = {"content": dict.fromkeys(answer.media_types, body)}
        return {"description": answer.about, "headers": self._headers((*answer.headers, *limit)), **content}

    def _own_error(self, code: int, answer: Answer, limit: tuple[str, ...]) -> dict[str, Any]:
        """An error that the view words in its own way, beside the usual one."""
        either = {"anyOf": [answer.body or {}, error(code)]}
        headers = (*answer.headers, *HEADERS_OF_CODE.get(code, ()))
        response = self._response(Answer(answer.about, either, headers), limit)
        data = (answer.body or {}).get("properties", {}).get("data")
        response["content"][PROBLEM] = self._body(problem(code, data))
        return response

    def _shared_error(self, code: int, in_seed_words: bool, limit: tuple[str, ...]) -> str:
        """The name of the component that is this error."""
        name = f"{'SeedError' if in_seed_words else 'Error'}{code}{'' if limit else 'Unlimited'}"
        if self._is_new(f"response {name}"):
            if in_seed_words:
                content = {JSON: self._body(seed_error(code))}
            else:
                content = {JSON: self._body(error(code)), PROBLEM: self._body(problem(code))}
            headers = self._headers((*HEADERS_OF_CODE.get(code, ()), *limit))
            response = {"description": ERRORS[code][0], "headers": headers, "content": content}
            self._spec.components.response(name, response)
        return name

    def _body(self, schema: JsonSchema) -> dict[str, Any]:
        return {"schema": self._hoisted(schema), "example": example_of(schema)}

    def _headers(self, names: tuple[str, ...]) -> dict[str, str]:
        for name in (names := ("X-Request-ID", *names)):
            if self._is_new(f"header {name}"):
                self._spec.components.header(name, HEADERS[name])
        return {name: name for name in names}

    def _hoisted(self, schema: Any) -> Any:
        """The schema, with a reference in place of each part that has a title."""
        if isinstance(schema, list):
            return [self._hoisted(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        inner = {
            name: value if name in ("examples", "const", "enum") else self._hoisted(value)
            for name, value in schema.items()
        }
        title = inner.get("title")
        if not isinstance(title, str):
            return inner
        del inner["title"]
        if self._is_new(f"schema {title}"):
            self._components[title] = inner
            self._spec.components.schema(title, inner)
        if self._components[title] != inner:
            raise ValueError(f"two schemas are called {title}")
        return {"$ref": f"#/components/schemas/{title}"}

    def _is_new(self, name: str) -> bool:
        """Whether it is asked for the first time."""
        is_new = name not in self._shared
        self._shared.add(name)
        return is_new


def _error_codes(rule: Rule, described: Description) -> Iterator[int]:
    """The errors that follow from what is taken and who may call, and those the view names."""
    yield 500
    if rule.arguments or described.takes.query is not None:
        yield 414
    yield from described.answers.errors
    if described.takes.body is not None or described.takes.query is not None or described.takes.headers:
        yield 400
    if described.takes.body is not None:
        yield from (413, 415)
    if described.answers.is_limited:
        yield 429
    if described.role is not None:
        yield from (401, 403, 429, 503)


def _request_body(described: Description) -> dict[str, Any]:
    takes = described.takes
    content: dict[str, Any] = {JSON: {"schema": takes.body, "example": takes.example}}
    for media_type, example in takes.bodies.items():
        content[media_type] = {"schema": {"type": "string"}, "example": example}
    return {"required": takes.body_required, "content": content}


def _path_parameters(rule: Rule) -> Iterator[dict[str, Any]]:
    for converter, name in _PARAMETER.findall(rule.rule):
        schema = PATH_PARAMETERS.get(name, PATH_PARAMETERS[converter])
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _name_of(schema: Schema | type[Schema]) -> str:
    """What the component of a schema is called."""
    named = schema if isinstance(schema, type) else type(schema)
    name = named.__name__.removesuffix("Schema")
    return f"Partial{name}" if getattr(schema, "partial", False) is True else name


class _Converter(OpenAPIConverter):
    """apispec's, for which a field may say in `json_schema` what it is."""

    def init_attribute_functions(self) -> None:
        super().init_attribute_functions()  # type: ignore[no-untyped-call]
        # After the type by class and before everything that looks at the type.
        self.attribute_functions.insert(1, _own_words)
        self.attribute_functions.append(_as_javascript_reads_it)


class _Schemas(MarshmallowPlugin):
    Converter = _Converter


def _own_words(field: fields.Field[Any], ret: JsonSchema) -> JsonSchema:
    """What a field's class says of itself in JSON Schema."""
    words: JsonSchema = getattr(field, "json_schema", {})
    return words


def _as_javascript_reads_it(field: fields.Field[Any], ret: JsonSchema) -> JsonSchema:
    """In one order; emails by their format; patterns in ECMA 262, from the start as marshmallow matches."""
    if any(isinstance(validator, validate.Email) for validator in field.validators):
        return {"format": "email"}
    if "enum" in ret:
        return {"enum": sorted(ret["enum"], key=lambda choice: (choice is None, choice))}
    if "pattern" in ret:
        return {"pattern": "^" + ret["pattern"].removeprefix("^").replace(r"\Z", "$")}
    return {}

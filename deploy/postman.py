"""`make postman-setup`: a Postman collection of both services and its environments, from their documents.

Whoever imports them chooses an environment and sends: the collection signs in by itself. Its requests run
from top to bottom, each with what those before it have made.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import admin_service
import ingest_service
from deploy.postman_scripts import CHECK_ALL, SAVED, SIGN_IN, check_script, skip_script
from shared.api_docs import document_of
from shared.settings import Settings

Json = dict[str, Any]

FOLDER = Path(__file__).parent / "postman"
NAME = "Lead Management API"
FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"

# What is made first is there for the others, and is removed last.
ORDER = ("post", "get", "put", "patch", "delete")
LAST_FOLDER = "erasures"  # what they remove is looked at in others
# Parameters that are sent; all others are there, switched off.
SENT = {"get_lead": {"wait": "10"}}
SHOWN = range(200, 401)  # the statuses of answers that are shown beside a request
CREDENTIALS = {"email": "{{email}}", "password": "{{password}}"}


class Operation(NamedTuple):
    """One method of one path of a document; `base` is the variable with the service's address."""

    base: str
    method: str
    path: str
    words: Json
    document: Json


def documents() -> Iterator[tuple[str, Json]]:
    """Both documents, with the variable that has the address of each."""
    yield "baseUrl", document_of(ingest_service.create_app(Settings())).get()
    yield "adminUrl", document_of(admin_service.create_app(Settings())).get()


def collection() -> Json:
    """The collection: a folder for each service, in it one for each tag."""
    return {
        "info": {"name": NAME, "schema": FORMAT, "description": "Made by `make postman-setup`."},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "event": [_event("prerequest", SIGN_IN), _event("test", CHECK_ALL)],
        "item": [_service(base, document) for base, document in documents()],
    }


def environments() -> dict[str, Json]:
    """By name: one for `make run` and Compose, one to be filled in."""
    local = {"baseUrl": "http://127.0.0.1:8080", "adminUrl": "http://127.0.0.1:8080"}
    local |= {"email": "admin@example.com", "password": "password123"}
    there = {"baseUrl": "https://leads.example.com", "adminUrl": "https://leads.example.com"}
    there |= {"email": "", "password": ""}
    return {"local": _environment("local", local), "production.example": _environment("production", there)}


def files() -> dict[str, str]:
    """What `make postman-setup` writes, by file name."""
    contents = {f"{NAME}.postman_collection.json": collection()}
    contents |= {f"{name}.postman_environment.json": values for name, values in environments().items()}
    return {name: json.dumps(value, indent=1, ensure_ascii=False) + "\n" for name, value in contents.items()}


def _service(base: str, document: Json) -> Json:
    operations = [
        Operation(base, method, path, words, document)
        for path, methods in document["paths"].items()
        for method, words in methods.items()
    ]
    folders: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for operation in operations:
        folders[_folder(operation, operations)].append(operation)
    items = [
        {"name": name, "item": list(chain.from_iterable(map(_items, sorted(folder, key=_rank))))}
        for name, folder in sorted(folders.items(), key=lambda item: item[0] == LAST_FOLDER)
        if folder
    ]
    return {"name": document["info"]["title"], "description": document["info"]["description"], "item": items}


def _folder(operation: Operation, others: list[Operation]) -> str:
    """The tag of the outermost operation that its path is below: what belongs to a user comes with users."""
    above = [other for other in others if f"{operation.path}/".startswith(other.path.rstrip("/") + "/")]
    outermost = min(above, key=lambda other: len(other.path.rstrip("/")))
    return str(outermost.words["tags"][0])


def _rank(operation: Operation) -> tuple[bool, int, int, str]:
    """Its place in the folder: what others need goes first; of what is removed, the inner."""
    depth = operation.path.rstrip("/").count("/")
    is_needed = operation.words["operationId"] in SAVED
    order = ORDER.index(operation.method)
    return not is_needed, order, -depth if operation.method == "delete" else depth, operation.path


def _items(operation: Operation) -> Iterator[Json]:
    """The operation as a request; as one for each kind of body if there are several."""
    contents = operation.words.get("requestBody", {}).get("content", {None: None})
    for media_type, content in contents.items():
        kind = f" ({media_type})" if len(contents) > 1 else ""
        request = _request(operation, media_type, content)
        yield {
            "name": operation.words["summary"].rstrip(".") + kind,
            "event": list(_events(operation)),
            "request": request,
            "response": list(_saved_answers(operation, request)),
        }


def _events(operation: Operation) -> Iterator[Json]:
    yield _event("test", check_script(operation.path, operation.words, operation.document))
    if skip := skip_script(operation.path):
        yield _event("prerequest", skip)


def _request(operation: Operation, media_type: str | None, content: Json | None) -> Json:
    path = re.sub(r"{(\w+)}", r"{{\1}}", operation.path)
    query = list(_query(operation))
    sent = "&".join(f"{one['key']}={one['value']}" for one in query if not one["disabled"])
    request: Json = {
        "method": operation.method.upper(),
        "header": [],
        "url": {
            "raw": f"{{{{{operation.base}}}}}{path}{'?' if sent else ''}{sent}",
            "host": [f"{{{{{operation.base}}}}}"],
            "path": path.lstrip("/").split("/"),
            "query": query,
        },
        "description": operation.words["description"],
    }
    if not operation.words["security"]:
        request["auth"] = {"type": "noauth"}
    if content is not None:
        request["header"].append({"key": "Content-Type", "value": media_type})
        request["body"] = {"mode": "raw", "raw": _body(operation, content["example"])}
    return request


def _query(operation: Operation) -> Iterator[Json]:
    sent = SENT.get(operation.words["operationId"], {})
    for parameter in operation.words["parameters"]:
        if parameter.get("in") == "query":
            name = parameter["name"]
            value = sent.get(name, str(parameter["schema"].get("default", "")))
            yield {"key": name, "value": value, "disabled": name not in sent and not parameter["required"]}


def _body(operation: Operation, example: Any) -> str:
    """The example, signed in as the environment says, and with emails that nobody has used."""
    if operation.words["operationId"] == "login_check":
        example = CREDENTIALS
    text = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
    return re.sub(r"\b([\w.]+)@example\.com", r"\1+{{$guid}}@example.com", text)


def _saved_answers(operation: Operation, request: Json) -> Iterator[Json]:
    """What Postman shows beside the request: the answers that the document gives as examples."""
    for status, answer in operation.words["responses"].items():
        if "$ref" in answer:
            answer = operation.document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        content = answer.get("content", {}).get("application/json")
        if content is not None and int(status) in SHOWN:
            yield {
                "name": f"{status} {answer['description']}",
                "originalRequest": request,
                "code": int(status),
                "header": [{"key": "Content-Type", "value": "application/json"}],
                "body": json.dumps(content["example"], indent=2, ensure_ascii=False),
            }


def _event(listen: str, script: str) -> Json:
    return {"listen": listen, "script": {"type": "text/javascript", "exec": script.strip().splitlines()}}


def _environment(name: str, values: dict[str, str]) -> Json:
    entries = [
        {"key": key, "value": value, "type": "secret" if key == "password" else "default", "enabled": True}
        for key, value in values.items()
    ]
    return {"name": f"Leadgate {name}", "values": entries, "_postman_variable_scope": "environment"}


def main() -> int:
    """Writes the files and says where they are."""
    FOLDER.mkdir(exist_ok=True)
    for name, content in files().items():
        (FOLDER / name).write_text(content, "utf-8")
        print(f"written: {FOLDER / name}")
    print("In Postman: Import, choose these files, then the environment; the collection signs in by itself.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

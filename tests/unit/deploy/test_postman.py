"""The Postman collection: there, true to the documents, and able to run from top to bottom."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from deploy import postman


@pytest.fixture(scope="module")
def collection() -> dict[str, Any]:
    return postman.collection()


def requests_in(folder: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The requests of a folder, in the order in which they run."""
    for item in folder["item"]:
        if "request" in item:
            yield item
        else:
            yield from requests_in(item)


def test_the_files_are_as_make_postman_setup_writes_them() -> None:
    there = {path.name: path.read_text("utf-8") for path in postman.FOLDER.iterdir()}
    stale = [name for name, content in postman.files().items() if there.get(name) != content]
    assert stale == [], "run `make postman-setup`"
    assert set(there) == set(postman.files())


def test_it_has_the_name_that_the_second_seed_gives_it() -> None:
    assert (postman.FOLDER / "Lead Management API.postman_collection.json").is_file()


def test_every_operation_of_both_services_is_in_it(collection: dict[str, Any]) -> None:
    for (_, document), folder in zip(postman.documents(), collection["item"], strict=True):
        in_document = {
            (method.upper(), re.sub(r"{(\w+)}", r"{{\1}}", path))
            for path, methods in document["paths"].items()
            for method in methods
        }
        requests = [item["request"] for item in requests_in(folder)]
        in_folder = {(one["method"], "/" + "/".join(one["url"]["path"])) for one in requests}
        assert in_folder == in_document


def test_every_request_looks_at_its_answer(collection: dict[str, Any]) -> None:
    for item in requests_in(collection):
        script = "\n".join(item["event"][0]["script"]["exec"])
        assert 'pm.test("it succeeds"' in script


def test_what_a_request_needs_is_there_before_it(collection: dict[str, Any]) -> None:
    there = {value["key"] for value in postman.environments()["local"]["values"]} | {"token", "$guid"}
    for item in requests_in(collection):
        needed = set(re.findall(r"{{([$\w]+)}}", json.dumps(item["request"])))
        assert needed <= there, f"{item['name']}: nobody saves it before (SAVED in deploy/postman_scripts.py)"
        there |= set(
            re.findall(r'pm\.environment\.set\("(\w+)"', json.dumps(item["event"]).replace('\\"', '"'))
        )


def test_nothing_secret_is_in_it_but_the_demo_login(collection: dict[str, Any]) -> None:
    environments = postman.environments()
    local = {value["key"]: value["value"] for value in environments["local"]["values"]}
    assert (local["email"], local["password"]) == ("admin@example.com", "password123")
    assert {value["value"] for value in environments["production.example"]["values"]} == {
        "https://leads.example.com",
        "",
    }
    assert "password123" not in "".join(json.dumps(item["request"]) for item in requests_in(collection))


def test_whoever_sends_a_request_twice_sends_another_email(collection: dict[str, Any]) -> None:
    bodies = [item["request"]["body"]["raw"] for item in requests_in(collection) if "body" in item["request"]]
    assert any("{{$guid}}@example.com" in body for body in bodies)
    assert [body for body in bodies if re.search(r"(?<!})@example\.com", body)] == []

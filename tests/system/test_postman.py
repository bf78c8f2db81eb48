"""The Postman collection, run by newman against a live system: every request succeeds, and does so again."""

from __future__ import annotations

import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.services import NEWMAN, need
from tests.system.client import new_lead
from tests.system.running import ROOT, System

FOLDER = ROOT / "deploy" / "postman"
COLLECTION = FOLDER / "Lead Management API.postman_collection.json"


@pytest.mark.parametrize(
    "system",
    [pytest.param("embedded", marks=pytest.mark.xdist_group("embedded system"))],
    indirect=True,
)
@pytest.mark.parametrize("admin", ["one address", "admin alone"])
def test_every_request_succeeds(system: System, tmp_path: Path, admin: str) -> None:
    put_one_aside(system)
    admin_port = system.port if admin == "one address" else system.admin_port
    report = run_collection(need(NEWMAN), system.port, admin_port, tmp_path / "report.json")
    assert report["failures"] == []
    assert report["stats"]["assertions"]["total"] > 2 * report["stats"]["items"]["total"]
    names = {execution["item"]["name"] for execution in report["executions"]}
    assert names == set(names_in(json.loads(COLLECTION.read_text("utf-8"))))


def put_one_aside(system: System) -> None:
    """In quarantine there is a lead, whose key was another's."""
    key = {"Idempotency-Key": uuid.uuid4().hex}
    with system.client() as partner:
        for city in ("London", "Paris"):
            answer = partner.ask("POST", "/api/leads", new_lead(city=city), key)
            assert answer.status == 201, answer.body
            partner.wait_for_lead(answer.data["id"])


def run_collection(newman: str, port: int, admin_port: int, report: Path) -> dict[str, Any]:
    """What newman reports of one run with the local environment."""
    addresses = {"baseUrl": f"http://127.0.0.1:{port}", "adminUrl": f"http://127.0.0.1:{admin_port}"}
    variables = [word for name, url in addresses.items() for word in ("--env-var", f"{name}={url}")]
    environment = FOLDER / "local.postman_environment.json"
    command = [newman, "run", COLLECTION, "--environment", environment, *variables]
    ended = subprocess.run(
        [*command, "--reporters", "json", "--reporter-json-export", report],
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.is_file(), ended.stdout + ended.stderr
    run: dict[str, Any] = json.loads(report.read_text("utf-8"))["run"]
    for failure in run["failures"]:
        print(failure["source"]["name"], failure["error"]["message"])
    return run


def names_in(folder: dict[str, Any]) -> list[str]:
    if "item" not in folder:
        return [folder["name"]]
    return [name for item in folder["item"] for name in names_in(item)]

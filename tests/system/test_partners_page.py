"""Every command and program that docs/partners.md shows does what the page says."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.client import Client, new_lead
from tests.system.office import Office, Person
from tests.system.running import ROOT, System, free_ports
from tests.waiting import wait_until

PAGE = (ROOT / "docs" / "partners.md").read_text("utf-8")
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
[FORM_HANDLER] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def office(system: System) -> Iterator[Office]:
    office = Office(system)
    with office.client:
        yield office


@pytest.fixture
def person(office: Office) -> Person:
    return office.register()


@pytest.fixture
def environment(system: System, person: Person) -> dict[str, str]:
    """What the page takes for granted."""
    return {
        "PATH": os.environ["PATH"],
        "LEADGATE_URL": f"http://127.0.0.1:{system.port}",
        "LEADGATE_API_KEY": person.api_key,
        "LEADGATE_EMAIL": person.email,
        "LEADGATE_PASSWORD": person.password,
    }


@pytest.fixture
def client(system: System, office: Office, person: Person) -> Iterator[Client]:
    """The partner, looking at its leads."""
    with Client(system.port, office.token(person)["Authorization"].removeprefix("Bearer ")) as client:
        yield client


def test_the_commands_do_what_they_say(environment: dict[str, str], client: Client, tmp_path: Path) -> None:
    shutil.copy(ROOT / "deploy" / "import_leads.py", tmp_path)
    waiting = [new_lead(idempotencyKey=f"form-{number}") for number in range(3)]
    (tmp_path / "waiting.ndjson").write_text("".join(json.dumps(lead) + "\n" for lead in waiting))
    names = ("firstName", "lastName", "email", "phone", "dateOfBirth")
    rows = [[str(new_lead()[name]) for name in names] for _ in range(4)]
    header = ",".join(names).replace("email", "E-Mail")
    (tmp_path / "leads.csv").write_text("\n".join([header, *map(",".join, rows)]) + "\n")
    for command in COMMANDS:
        done = subprocess.run(
            ["bash", "-euc", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, command + done.stdout + done.stderr
        assert '"status":"error"' not in done.stdout, command + done.stdout
    client.wait_for_total(1 + len(waiting) + len(rows))
    assert len(client.listed()) == 1 + len(waiting) + len(rows)


@contextmanager
def form_handler(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The page's program, running; its address."""
    [port] = free_ports(1)
    (folder / "form_handler.py").write_text(FORM_HANDLER)
    command = [sys.executable, "form_handler.py"]
    process = subprocess.Popen(command, cwd=folder, env={**environment, "PORT": str(port)})
    try:
        wait_until(lambda: listens(port), "the form handler listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def submit(address: str, **form: str) -> tuple[int, str]:
    """Status and text for a form that somebody has sent off."""
    try:
        with urllib.request.urlopen(address, urllib.parse.urlencode(form).encode(), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_form_that_is_sent_off_twice_is_one_lead(
    environment: dict[str, str], client: Client, tmp_path: Path
) -> None:
    form = {**new_lead(), "submission": "a1b2c3"}
    with form_handler(tmp_path, environment) as address:
        assert [submit(address, **form) for _ in range(2)] == [(200, "Thank you.")] * 2
        assert submit(address, **form | {"submission": "d4e5f6", "email": "nobody"})[0] == 400
        assert submit(address, **form | {"submission": "g7h8i9", "email": "another@example.com"})[0] == 200
    client.wait_for_total(2)
    assert sorted(lead["email"] for lead in client.listed()) == sorted([form["email"], "another@example.com"])
    assert not (tmp_path / "waiting.ndjson").exists()


def test_a_form_that_cannot_be_sent_on_waits_with_its_key(tmp_path: Path) -> None:
    [nobody] = free_ports(1)
    environment = {"LEADGATE_URL": f"http://127.0.0.1:{nobody}", "LEADGATE_API_KEY": "any"}
    with form_handler(tmp_path, environment) as address:
        assert submit(address, email="ada@example.com", submission="a1b2c3") == (200, "Thank you.")
    waiting = json.loads((tmp_path / "waiting.ndjson").read_text())
    assert waiting == {"email": "ada@example.com", "idempotencyKey": "a1b2c3"}

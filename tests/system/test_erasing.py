"""Erasure on a running system: the person's bytes are in no file of it any more."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from tests.system.client import LISTED_SECONDS, new_lead
from tests.system.office import Office
from tests.system.running import System


def test_an_erased_person_is_in_no_file(embedded_system: System) -> None:
    embedded_system.start()
    mark = uuid.uuid4().hex
    email = f"ada.{mark}@example.com"
    office = Office(embedded_system)
    with office.client as client:
        person = office.register()
        headers = person.key | {"Idempotency-Key": mark[:8]}
        lead = client.ask("POST", "/api/leads", new_lead(email=email), headers).data
        client.ask("POST", "/api/leads", new_lead(email=email, city=mark), headers)  # a conflict
        client.ask("GET", f"/api/leads/{lead['id']}?wait=10", headers=person.key)
        client.ask("GET", f"/api/leads?email={email}", headers=person.key)
        wait_until_files(embedded_system, mark, are_some=True)
        client.ask("POST", "/api/leads", new_lead(email=email), person.key)  # perhaps still in the queue

        answer = client.ask("POST", "/admin/api/erasures", {"email": email})
        assert answer.status == 200, answer.body
        assert answer.data["erased"] >= 1

        wait_until_files(embedded_system, mark, are_some=False)
        assert client.ask("GET", f"/api/leads/{lead['id']}", headers=person.key).status == 404
        anew = client.ask("POST", "/api/leads", new_lead(email=email), person.key).data
        assert client.wait_for_lead(anew["id"])["status"] == "stored"
    assert embedded_system.stop() == 0


def wait_until_files(system: System, text: str, *, are_some: bool) -> None:
    """Return once there are files with the text in them, or none."""
    give_up_at = time.monotonic() + LISTED_SECONDS
    while bool(found := files_with(system, text)) is not are_some:
        assert time.monotonic() < give_up_at, found
        time.sleep(0.1)


def files_with(system: System, text: str) -> list[Path]:
    """The files of the system that have the text in them."""
    return [
        path for path in sorted(system.folder.rglob("*")) if path.is_file() and text.encode() in read(path)
    ]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # a file of the queue that was emptied meanwhile
        return b""

"""Export of a running system: what was posted comes back as a file."""

from __future__ import annotations

import csv
import io
import json

from tests.system.client import new_lead
from tests.system.office import Office
from tests.system.running import System

LEADS = 300  # more than are read at a time


def test_what_a_partner_has_posted_is_exported(system: System) -> None:
    office = Office(system)
    with office.client as client:
        person = office.register()
        answers = [
            client.ask("POST", "/api/leads", new_lead(firstName="=1+1"), person.key) for _ in range(LEADS)
        ]
        posted = [answer.data["id"] for answer in answers]
        listed = client.ask("GET", f"/api/leads/{posted[-1]}?wait=10", headers=person.key)
        assert listed.status == 200, listed.body

        rows = client.ask("GET", "/api/leads/export?format=csv", headers=person.key)
        lines = client.ask("GET", "/api/leads/export?format=ndjson", headers=person.key)

    assert rows.headers["Transfer-Encoding"] == lines.headers["Transfer-Encoding"] == "chunked"
    found = list(csv.DictReader(io.StringIO(rows.body.decode(), newline="")))
    assert [row["id"] for row in found] == posted[::-1]
    assert {row["firstName"] for row in found} == {"'=1+1"}
    assert [json.loads(line)["id"] for line in lines.body.splitlines()] == posted[::-1]

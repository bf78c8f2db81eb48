"""Quarantine on a running system: what was parked is sent again, and stored once."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.system.client import LISTED_SECONDS, Client, new_lead
from tests.system.office import Office
from tests.system.running import ADMIN, System

QUARANTINE = "/admin/api/quarantine"
PRESSES = 4


def test_a_conflict_is_replayed_under_an_id_of_its_own_however_often_one_presses(system: System) -> None:
    office = Office(system)
    with office.client as client:
        person = office.register()
        headers = person.key | {"Idempotency-Key": uuid.uuid4().hex}
        first, second = (client.ask("POST", "/api/leads", new_lead(), headers).data for _ in range(2))
        assert first["id"] == second["id"]
        (parked,) = wait_for_quarantined(client, f"clientId={person.id}")
        assert (parked["leadId"], parked["reason"]) == (first["id"], "idempotency_conflict")

        with ThreadPoolExecutor(PRESSES) as threads:
            answers = list(threads.map(lambda _: press(system, parked["id"]), range(PRESSES)))
        assert sorted(answers) == [202, *[409] * (PRESSES - 1)]

        item = client.ask("GET", f"{QUARANTINE}/{parked['id']}").data
        lead = client.ask("GET", f"/api/leads/{item['replayedAs']}?wait=10", headers=person.key).data
        assert (lead["status"], lead["replayOf"]) == ("stored", parked["id"])
        assert lead["email"] == parked["payload"]["email"]
        listed = client.ask("GET", "/api/leads", headers=person.key).data
        assert {lead["id"] for lead in listed["items"]} == {first["id"], item["replayedAs"]}
        assert wait_for_quarantined(client, f"clientId={person.id}&resolved=true") == [item]


def press(system: System, id: str) -> int:
    with Client(system.port, system.token(ADMIN)) as client:
        return client.ask("POST", f"{QUARANTINE}/{id}/replay").status


def wait_for_quarantined(client: Client, query: str) -> list[dict[str, Any]]:
    """What is listed, once there is anything."""
    give_up_at = time.monotonic() + LISTED_SECONDS
    while True:
        items: list[dict[str, Any]] = client.ask("GET", f"{QUARANTINE}?{query}").data["items"]
        if items:
            return items
        assert time.monotonic() < give_up_at, f"nothing in quarantine for {query}"
        time.sleep(0.05)

"""Many leads in one request, and leads that are sent again under their idempotency keys."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator

import pytest

from tests.system.client import Answer, Client, new_lead
from tests.system.posting import accepted_ids
from tests.system.running import System

URL = "/api/leads/batch"


def with_key(client: Client, key: str, lead: dict[str, object]) -> Answer:
    return client.ask("POST", "/api/leads", lead, {"Idempotency-Key": key})


def test_a_lead_that_is_sent_again_under_its_key_is_stored_once(system: System) -> None:
    key, lead = uuid.uuid4().hex, new_lead(city="Bonn")
    with system.client() as partner:
        first = with_key(partner, key, lead)
    answers = [first]
    for sent in (key, f'"{key}"', key):
        with system.client() as partner:  # each on a connection of its own, so perhaps to another worker
            answers.append(with_key(partner, sent, lead))
    assert [answer.status for answer in answers] == [201] * 4
    assert len({answer.data["id"] for answer in answers}) == 1
    with system.client() as partner:
        last = partner.wait_for_lead(
            accepted_ids([partner.post_lead()])[0]
        )  # what was sent before is written
        assert last["status"] == "stored"
        found = partner.ask("GET", f"/api/leads?email={lead['email']}").data
        assert [item["id"] for item in found["items"]] == [first.data["id"]]
        (item,) = found["items"]
        assert (item["status"], item["createdAt"]) == ("stored", first.data["receivedAt"])


def test_other_content_under_the_same_key_does_not_change_the_first(system: System) -> None:
    key, lead = uuid.uuid4().hex, new_lead(city="Bonn")
    with system.client() as partner:
        first = with_key(partner, key, lead)
        partner.wait_for_lead(first.data["id"])
        other = with_key(partner, key, lead | {"city": "Köln"})
        partner.wait_for_lead(accepted_ids([partner.post_lead()])[0])
        assert partner.wait_for_lead(first.data["id"])["city"] == "Bonn"
        assert partner.ask("GET", f"/api/leads?email={lead['email']}").data["pagination"]["total"] == 1
    assert (other.status, other.data["id"]) == (201, first.data["id"])


@pytest.mark.parametrize("way", ["application/json", "application/x-ndjson", "text/csv"])
def test_a_batch_reads_back_as_it_was_sent(system: System, way: str) -> None:
    good = [new_lead(city="Bonn", verticals=["solar", "wind"], clientReference=f"r{i}") for i in range(3)]
    leads = [good[0], new_lead(email="x", verticals=["solar"], city="", clientReference="bad"), *good[1:]]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(leads[0])
    writer.writerows([*list(lead.values())[:5], *_cells(lead, list(leads[0])[5:])] for lead in leads)
    body = {
        "application/json": json.dumps({"leads": leads}),
        "application/x-ndjson": "\n".join(map(json.dumps, leads)),
        "text/csv": text.getvalue(),
    }[way].encode()
    with system.client() as partner:
        headers = {"Content-Type": way, "Idempotency-Key": uuid.uuid4().hex}
        answers = [partner.ask("POST", URL, body, headers) for _ in range(2)]
        results = answers[0].data["results"]
        stored = [partner.wait_for_lead(results[index]["id"]) for index in (0, 2, 3)]
    assert [answer.status for answer in answers] == [207, 207]
    assert answers[1].data["results"] == results
    assert results[1] == {
        "index": 1,
        "errors": {"email": ["This value is not a valid email address"]},
        "clientReference": "bad",
    }
    assert [{name: lead[name] for name in good[0]} for lead in stored] == good
    assert {lead["createdAt"] for lead in stored} == {answers[0].data["receivedAt"]}
    assert {lead["status"] for lead in stored} == {"stored"}


def _cells(lead: dict[str, object], names: list[str]) -> list[str]:
    """The cells of these fields; those of a list are separated."""
    cells = [lead.get(name, "") for name in names]
    return ["|".join(cell) if isinstance(cell, list) else str(cell) for cell in cells]


def test_a_batch_of_a_thousand_is_stored_and_one_of_any_length_refused(system: System) -> None:
    leads = [new_lead() for _ in range(1000)]
    with system.client(system.other_partner()) as partner:
        before = partner.total()
        answer = partner.ask("POST", URL, {"leads": leads})
        assert (answer.status, answer.data["accepted"]) == (201, 1000)
        partner.wait_for_total(before + 1000)
        assert partner.total() == before + 1000

    def in_chunks() -> Iterator[bytes]:
        """A byte more than is taken, without Content-Length."""
        yield b"{"
        for _ in range(8):
            yield b" " * 1024 * 1024

    with system.client() as partner:
        too_many = partner.ask("POST", URL, {"leads": [*leads, new_lead()]})
        assert (too_many.status, list(too_many.json["errors"])) == (400, ["leads"])
        too_long = partner.ask("POST", URL, in_chunks())
        assert too_long.status == 413

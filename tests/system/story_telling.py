"""How a story is told to a running system: what is sent to it, and what it shows afterwards."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.system.client import LISTED_SECONDS, Answer, Client, new_lead
from tests.system.office import Office, log_in
from tests.system.running import ADMIN, ROOT, STOP_SECONDS, System
from tests.system.story_model import Accepted, Content, Key, Model, Parked, Seen
from tests.system.story_model import Lead as Listed

QUARANTINE = "/admin/api/quarantine"
CSV, NDJSON = "text/csv", "application/x-ndjson"


class Post(NamedTuple):
    """One lead, on the route `leads` or `tracking`."""

    partner: int
    content: Content
    key: str | None
    route: str


class Item(NamedTuple):
    """A lead of a batch, perhaps with a key of its own."""

    content: Content
    key: str | None


class Batch(NamedTuple):
    """Many leads, as JSON, NDJSON or CSV."""

    partner: int
    items: tuple[Item, ...]
    key: str | None
    type: str


class Replay(NamedTuple):
    """A row of quarantine, sent again as it was or corrected."""

    partner: int
    row: str
    content: Content
    is_corrected: bool


Request = Post | Batch | Replay


class Stage:
    """A system with two consumers, on which one story after the other is told; `sent` counts the leads that
    it has accepted, those of batches and replays too."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.office = Office(system)
        self.sent = 0

    def close(self) -> None:
        self.office.client.close()

    def settle(self) -> dict[str, Any]:
        """Wait until something has become of all that was sent; the reconciliation then."""
        give_up_at = time.monotonic() + LISTED_SECONDS
        while (data := self._reconciliation())["settled"]["leads"] < self.sent:
            assert time.monotonic() < give_up_at, (self.sent, data)
            time.sleep(0.01)
        outcomes = ("stored", "duplicate", "quarantined", "repeated", "erased")
        settled = data["settled"]
        assert settled["leads"] == sum(settled[name] for name in outcomes) == self.sent, data
        assert (data["missing"], data["inconsistent"]) == (0, 0), data
        return data

    def _reconciliation(self) -> dict[str, Any]:
        return self.office.ask("GET", "/admin/api/reconciliation?limit=100").data


@contextmanager
def second_consumer(system: System) -> Iterator[None]:
    """Another consumer beside the system's own."""
    with (system.folder / "second-consumer.log").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "consumer"],
            cwd=ROOT,
            env=system.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
            process.terminate()
            assert process.wait(STOP_SECONDS) == 0
        finally:
            process.kill()
            process.wait()
    assert "Traceback" not in (system.folder / "second-consumer.log").read_text()


class Partner:
    """A partner of one story, and what it sees."""

    def __init__(self, stage: Stage, number: int) -> None:
        person = stage.office.register()
        self.id, self.number = person.id, number
        token = str(log_in(stage.system.port, person.email, person.password).json["token"])
        self._port, self._token = stage.system.port, token
        self.client = self.connect()

    def connect(self) -> Client:
        return Client(self._port, self._token)

    def post(self, client: Client, post: Post) -> list[Accepted]:
        headers = {} if post.key is None else {"Idempotency-Key": post.key}
        if post.route == "leads":
            answer = client.ask("POST", "/api/leads", body_of(post.content), headers)
            id = answer.data["id"] if answer.status == 201 else None
        else:
            answer = client.ask("POST", "/api/tracking/", tracked(post.content), headers)
            id = answer.json.get("id")
        assert answer.status == (201 if post.content.is_valid else 400), answer.body
        if id is None:
            return []
        key: Key | None = None if post.key is None else (self.number, post.key)
        return [Accepted(self.number, id, post.content, key)]

    def post_batch(self, client: Client, batch: Batch) -> list[Accepted]:
        headers = {"Content-Type": batch.type}
        if batch.key is not None:
            headers["Idempotency-Key"] = batch.key
        answer = client.ask("POST", "/api/leads/batch", written(batch), headers)
        good = sum(item.content.is_valid for item in batch.items)
        expected = 201 if good == len(batch.items) else 207 if good else 400
        assert answer.status == expected, answer.body
        data = answer.data
        assert (data["accepted"], data["rejected"]) == (good, len(batch.items) - good)
        accepted = []
        for index, (item, result) in enumerate(zip(batch.items, data["results"], strict=True)):
            assert result["index"] == index
            assert list(result.get("errors", {})) == ([] if item.content.is_valid else ["email"])
            if item.content.is_valid:
                key = self._key_in(batch, index, item)
                accepted.append(Accepted(self.number, result["id"], item.content, key))
        return accepted

    def listed(self) -> dict[str, Listed]:
        leads = self.client.listed()
        assert self.client.total() == len(leads)
        return {
            lead["id"]: Listed(
                self.number,
                content_of(lead),
                lead["status"],
                lead["duplicateOf"],
                lead.get("replayOf"),
            )
            for lead in leads
        }

    def exports_what_it_lists(self) -> bool:
        """Whether both exports are the listing."""
        listed = self.client.listed()
        lines = self.client.ask("GET", "/api/leads/export?format=ndjson").body.splitlines()
        rows = self.client.ask("GET", "/api/leads/export?format=csv").body.decode()
        in_rows = [row["id"] for row in csv.DictReader(io.StringIO(rows, newline=""))]
        return [json.loads(line) for line in lines] == listed and in_rows == [lead["id"] for lead in listed]

    def _key_in(self, batch: Batch, index: int, item: Item) -> Key | None:
        if item.key is not None:
            return self.number, item.key
        return None if batch.key is None else (self.number, batch.key, index)


class Troupe:
    """The partners of one story and the admin."""

    def __init__(self, stage: Stage, partners: int) -> None:
        self.stage = stage
        self.admin = stage.office
        self.partners = [Partner(stage, number) for number in range(partners)]

    def close(self) -> None:
        for partner in self.partners:
            partner.client.close()

    def send(self, requests: Sequence[Request]) -> list[list[Accepted]]:
        """Send these at the same time; what was accepted of each."""
        with ThreadPoolExecutor(max(len(requests), 1)) as threads:
            accepted = list(threads.map(self._send, requests))
        self.stage.sent += sum(map(len, accepted))
        return accepted

    def replay_many(self, partner: int, rows: Sequence[str], model: Model) -> list[list[Accepted]]:
        """Replay all rows of a partner, which are these."""
        filtered: dict[str, object] = {"clientId": self.partners[partner].id}
        answer = self.admin.ask("POST", f"{QUARANTINE}/replay", filtered)
        assert answer.data == {"replayed": len(rows), "left": 0}
        self.stage.sent += len(rows)
        ids = [self.admin.ask("GET", f"{QUARANTINE}/{row}").data["replayedAs"] for row in rows]
        return [
            [Accepted(partner, id, model.parked[row].content, replay_of=row)]
            for row, id in zip(rows, ids, strict=True)
        ]

    def seen(self) -> Seen:
        """What is there now."""
        leads: dict[str, Listed] = {}
        parked: dict[str, Parked] = {}
        for partner in self.partners:
            leads |= partner.listed()
            for resolved in ("true", "false"):
                query = f"clientId={partner.id}&resolved={resolved}&limit=100"
                data = self.admin.ask("GET", f"{QUARANTINE}?{query}").data
                assert data["pagination"]["total"] == len(data["items"])
                parked |= {row["id"]: parked_of(partner.number, row) for row in data["items"]}
        return Seen(leads, parked)

    def _send(self, request: Request) -> list[Accepted]:
        if isinstance(request, Replay):
            with self.stage.system.client(ADMIN) as client:
                return replay(client, request)
        partner = self.partners[request.partner]
        with partner.connect() as client:
            if isinstance(request, Post):
                return partner.post(client, request)
            return partner.post_batch(client, request)


def replay(client: Client, request: Replay) -> list[Accepted]:
    """Send a row again; nothing is accepted of one that somebody else has sent."""
    body = body_of(request.content) if request.is_corrected else None
    answer: Answer = client.ask("POST", f"{QUARANTINE}/{request.row}/replay", body)
    assert answer.status in (202, 409), answer.body
    if answer.status == 409:
        return []
    return [Accepted(request.partner, answer.data["leadId"], request.content, replay_of=request.row)]


def body_of(content: Content) -> dict[str, Any]:
    lead = new_lead(email=content.email, city=content.city, verticals=["solar", "wind"])
    return lead | ({"test": True} if content.test else {})


def tracked(content: Content) -> dict[str, Any]:
    """The same as the first seed's clients write it. They have no test leads."""
    body = body_of(content)
    return {("dob" if name == "dateOfBirth" else name): value for name, value in body.items()}


def written(batch: Batch) -> bytes:
    leads = [
        body_of(item.content) | ({} if item.key is None else {"idempotencyKey": item.key})
        for item in batch.items
    ]
    if batch.type == CSV:
        names = [*body_of(Content("", "", test=True)), "idempotencyKey"]
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(names)
        writer.writerows([cell(lead.get(name)) for name in names] for lead in leads)
        return text.getvalue().encode()
    if batch.type == NDJSON:
        return b"\n".join(json.dumps(lead).encode() for lead in leads)
    return json.dumps({"leads": leads}).encode()


def cell(value: Any) -> str:
    if isinstance(value, list):
        return "|".join(value)
    return "" if value is None else "true" if value is True else str(value)


def content_of(lead: dict[str, Any]) -> Content:
    return Content(lead["email"], lead["city"], lead.get("test") is True)


def parked_of(partner: int, row: dict[str, Any]) -> Parked:
    return Parked(
        partner,
        row["leadId"],
        content_of(row["payload"]),
        row["reason"],
        row["resolution"],
        row["replayedAs"],
    )

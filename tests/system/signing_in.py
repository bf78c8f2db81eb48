"""Partners who log in and post all the time, and the keys that sign their tokens."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass, field
from threading import Event, Thread

from tests.system.client import Answer, Client, new_lead
from tests.system.office import LOGIN
from tests.system.running import DEMO_PASSWORD, PARTNER, System

LOAD_THREADS = 8


def signer(token: str) -> str:
    head = token.split(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])


def published(system: System) -> set[str]:
    """The kids that both services publish."""
    kids = []
    for port in (system.port, system.admin_port):
        with Client(port) as client:
            kids.append({key["kid"] for key in client.ask("GET", "/.well-known/jwks.json").json["keys"]})
    return kids[0] & kids[1]


@dataclass
class Load:
    """Partners who log in, post with the token for a while, and log in anew, until told to stop."""

    system: System
    statuses: Counter[str] = field(default_factory=Counter)
    signers: Counter[str] = field(default_factory=Counter)
    refused: list[bytes] = field(default_factory=list)
    latest: str = ""
    _over: Event = field(default_factory=Event)
    _threads: list[Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._threads = [Thread(target=self._partner) for _ in range(LOAD_THREADS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _partner(self) -> None:
        credentials = {"email": PARTNER, "password": DEMO_PASSWORD}
        while not self._over.is_set():
            with Client(self.system.port) as client, Client(self.system.admin_port) as reader:
                login = client.ask("POST", LOGIN, dict(credentials))
                self._note("login", login, 200)
                if login.status != 200:
                    continue
                token = str(login.json["token"])
                self.signers[signer(token)] += 1
                self.latest = signer(token)
                bearer = {"Authorization": f"Bearer {token}"}
                for _ in range(5):
                    self._note("post", client.ask("POST", "/api/leads", new_lead(), bearer), 201)
                    self._note("list", reader.ask("GET", "/api/leads?limit=1", headers=bearer), 200)

    def _note(self, what: str, answer: Answer, good: int) -> None:
        self.statuses[f"{what} {answer.status}"] += 1
        if answer.status != good:
            self.refused.append(answer.body)

"""An admin who registers people, and what these see of a running system."""

from __future__ import annotations

import subprocess
import sys
import uuid
from dataclasses import dataclass

from tests.system.client import Answer, Client, new_lead
from tests.system.running import ADMIN, ROOT, START_SECONDS, System

LOGIN = "/api/login_check"
USERS = "/admin/api/user/"
LET_IN, REFUSED = [201, 200, 200], [401] * 3

Headers = dict[str, str]


@dataclass(frozen=True)
class Person:
    """Somebody the admin has just registered."""

    id: int
    email: str
    password: str
    api_key: str

    @property
    def key(self) -> Headers:
        return {"X-AUTH-Token": self.api_key}


class Office:
    """The admin of a system."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.client = system.client(ADMIN)

    def ask(self, method: str, path: str, body: dict[str, object] | None = None) -> Answer:
        answer = self.client.ask(method, path, body)
        assert answer.status < 300, answer.body
        return answer

    def register(self, role: str = "ROLE_API_CLIENT") -> Person:
        email, password = f"{uuid.uuid4().hex[:12]}@example.com", f"password-{uuid.uuid4().hex}"
        user = self.ask("POST", USERS, {"email": email, "password": password, "roles": [role]}).data
        key = self.ask("POST", f"{USERS}{user['id']}/access_tokens", {}).json["api_token"]
        return Person(int(user["id"]), email, password, str(key))

    def token(self, person: Person) -> Headers:
        """A JWT of that person, to be shown."""
        answer = log_in(self.system.port, person.email, person.password)
        assert answer.status == 200, answer.body
        return {"Authorization": f"Bearer {answer.json['token']}"}


def log_in(port: int, email: str, password: str) -> Answer:
    with Client(port) as client:
        return client.ask("POST", LOGIN, {"email": email, "password": password})


def knock(system: System, headers: Headers) -> list[int]:
    """How ingest, admin behind the one address, and admin alone answer; each on a connection of its own."""
    doors = ((system.port, "POST"), (system.port, "GET"), (system.admin_port, "GET"))
    statuses = []
    for port, method in doors:
        with Client(port) as client:
            body = new_lead() if method == "POST" else None
            statuses.append(client.ask(method, "/api/leads", body, headers).status)
    return statuses


def command(system: System, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """A command of the operator, in the environment of the system."""
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "admin_service", *arguments],
        cwd=ROOT,
        env=system.environment,
        input=typed,
        capture_output=True,
        text=True,
        check=True,
        timeout=START_SECONDS,
    )

"""A busy run with secrets of every kind, and where none of them may turn up."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from tests.system.client import Answer, Client, new_lead
from tests.system.office import LOGIN, USERS, Headers
from tests.system.running import ADMIN, System


@dataclass
class Secrets:
    """What must not turn up: everything that was made up, sent or received in confidence."""

    known: dict[str, str] = field(default_factory=dict)
    refusals: list[bytes] = field(default_factory=list)

    def make(self, what: str) -> str:
        return self.add(what, f"{what.replace(' ', '-')}-{uuid.uuid4().hex}")

    def add(self, what: str, secret: str) -> str:
        self.known[secret] = what
        return secret

    def add_token(self, token: str) -> str:
        """A JWT: its signature alone would already be too much."""
        self.add("signature of a JWT", token.rpartition(".")[2])
        return token

    def refused(self, answer: Answer) -> None:
        assert answer.status >= 400, answer.body
        self.refusals.append(answer.body + str(answer.headers).encode())

    def found_in(self, text: bytes) -> list[str]:
        return [what for secret, what in self.known.items() if secret.encode() in text]


def busy_run(system: System, secrets: Secrets) -> None:
    """Everything that has to do with secrets, rightly and wrongly, on both services."""
    admin = {"Authorization": f"Bearer {secrets.add_token(system.token(ADMIN))}"}
    for port in (system.port, system.admin_port):
        with Client(port) as client:
            email, password = f"{uuid.uuid4().hex[:12]}@example.com", secrets.make("password")
            body: dict[str, object] = {"email": email, "password": password}
            user = client.ask("POST", USERS, body, admin).data
            secrets.refused(client.ask("POST", USERS, body, admin))
            place = f"{USERS}{user['id']}"
            password = secrets.make("changed password")
            assert client.ask("PATCH", place, {"password": password}, admin).status == 204
            keys = [
                client.ask("POST", f"{place}/access_tokens", {"rotate": True}, admin).json["api_token"]
                for _ in range(2)
            ]
            old, new = ({"X-AUTH-Token": secrets.add("API key", key)} for key in keys)
            secrets.refused(client.ask("GET", "/api/leads", headers=old))
            login = client.ask("POST", LOGIN, {"email": email, "password": password})
            token = {"Authorization": f"Bearer {secrets.add_token(login.json['token'])}"}
            for credentials in (new, token):
                assert client.ask("GET", "/api/leads", headers=credentials).status in (200, 405)
                secrets.refused(client.ask("GET", USERS, headers=credentials))
                secrets.refused(client.ask("POST", USERS, {"email": "nobody"}, credentials))
            assert client.ask("POST", f"{place}/revoke_tokens", {}, admin).status == 204
            refuse_wrong_credentials(client, secrets, email)
            refuse_garbage(client, secrets, admin, place)
    with Client(system.port) as client:
        assert client.ask("POST", "/api/leads", new_lead(), new).status == 201
        refuse_garbage_leads(client, secrets, new)


def refuse_wrong_credentials(client: Client, secrets: Secrets, email: str) -> None:
    for _ in range(11):
        wrong: dict[str, object] = {"email": email, "password": secrets.make("wrong password")}
        secrets.refused(client.ask("POST", LOGIN, wrong))
    unknown: dict[str, object] = {
        "email": "nobody@example.com",
        "password": secrets.make("password of nobody"),
    }
    secrets.refused(client.ask("POST", LOGIN, unknown))
    secrets.refused(client.ask("GET", "/api/leads", headers={"X-AUTH-Token": secrets.make("unknown key")}))
    for scheme in ("Bearer", "Basic", "Token"):
        headers = {"Authorization": f"{scheme} {secrets.make('unknown token')}"}
        secrets.refused(client.ask("GET", "/api/leads", headers=headers))
    forged = f"e30.e30.{secrets.make('forged signature')}"
    secrets.refused(client.ask("GET", "/api/leads", headers={"Authorization": f"Bearer {forged}"}))


def garbage(secret: str) -> list[bytes]:
    """Bodies that will not do, each with the secret in it by a name that tells what it is."""
    return [
        b'{"password": "%s"' % secret.encode(),
        b'{"password": "%s", "password": "%s"}' % (secret.encode(), secret.encode()),
        b'{"password": "%s", "email": NaN}' % secret.encode(),
        b'{"password": ["%s"], "email": {"token": "%s"}}' % (secret.encode(), secret.encode()),
        b'{"password": "%s", "email": "%s"}' % (secret.encode() * 50, b"x" * 700),
        b'{"token": "%s", "api_token": "%s"}' % (secret.encode(), secret.encode()),
        b"password=%s" % secret.encode(),
    ]


def nameless_garbage(secret: str) -> list[bytes]:
    """The same without a name: only where nothing but credentials is sent does one know what it is."""
    return [
        b'["%s"]' % secret.encode(),
        b'"%s"' % secret.encode(),
        b"%s" % secret.encode(),
        b"\xff%s" % secret.encode(),
        b"[" * 100 + secret.encode(),
        secret.encode() * 40_000,
    ]


def refuse_garbage(client: Client, secrets: Secrets, admin: Headers, place: str) -> None:
    secret = secrets.make("password in garbage")
    for body in garbage(secret) + nameless_garbage(secret):
        secrets.refused(client.ask("POST", LOGIN, body))
        secrets.refused(client.ask("POST", LOGIN, body, {"Content-Type": "text/plain"}))
        for method, path in (("POST", USERS), ("PATCH", place), ("POST", f"{place}/access_tokens")):
            secrets.refused(client.ask(method, path, body, admin))
    for name in ("password", "token", "api_token"):
        path = f"{USERS}?{name}={secrets.make('password in a query')}"
        secrets.refused(client.ask("GET", path, headers=admin))


def refuse_garbage_leads(client: Client, secrets: Secrets, headers: Headers) -> None:
    for body in garbage(secrets.make("password in a garbage lead")):
        secrets.refused(client.ask("POST", "/api/leads", body, headers))

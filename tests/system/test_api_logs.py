"""Every exchange is found in the log, by admins and operators, and no credential is."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy.engine import make_url

from tests.system.client import Client, new_lead
from tests.system.confidence import Secrets
from tests.system.office import LOGIN, USERS
from tests.system.running import ADMIN, System

LOGGED_SECONDS = 20.0
TABLES = ("api_request_logs", "api_response_logs")


class Log:
    """What an admin finds in the log of a system."""

    def __init__(self, system: System) -> None:
        self._admin = system.client(ADMIN)

    def one(self, request_id: str) -> Any:
        """The exchange with that request id, once it is there."""
        give_up_at = time.monotonic() + LOGGED_SECONDS
        while (answer := self._admin.ask("GET", f"/admin/api/logs/{request_id}")).status == 404:
            assert time.monotonic() < give_up_at, f"{request_id} is not logged"
            time.sleep(0.05)
        assert answer.status == 200, answer.body
        return answer.data

    def close(self) -> None:
        self._admin.close()


def test_an_exchange_is_found_by_its_request_id(system: System) -> None:
    log, lead = Log(system), new_lead()
    with system.client() as partner:
        accepted = partner.ask("POST", "/api/leads?strict=true", lead)
        listed = partner.ask("GET", "/api/leads?limit=1")
    found = log.one(accepted.headers["X-Request-ID"])
    request, response = found["request"], found["response"]
    assert (request["method"], request["endpoint"], request["query"]) == ("POST", "/api/leads", "strict=true")
    assert request["payload"] == lead
    assert request["address"] == "127.0.0.1"
    assert (response["status"], response["body"]) == (201, accepted.json)
    assert log.one(listed.headers["X-Request-ID"])["response"]["body"] == listed.json
    log.close()


def test_an_operator_sees_it_too(system: System) -> None:
    log, request_id = Log(system), uuid.uuid4().hex
    with system.client() as partner:
        partner.ask("POST", "/api/leads", {"email": "no"}, {"X-Request-ID": request_id})
    log.one(request_id)
    log.close()
    ended = system.run_to_end("api-logs-errors")
    assert (ended.status, ended.errors) == (0, "")
    assert request_id in ended.output
    ended = system.run_to_end("api-request-data", request_id)
    assert (ended.status, ended.errors) == (0, "")
    assert '"email": "no"' in ended.output
    assert "Validation failed" in ended.output


def test_what_a_system_has_said_can_be_read_afterwards(embedded_system: System) -> None:
    assert embedded_system.run_to_end("logs").status == 1
    embedded_system.start()
    assert embedded_system.stop() == 0
    ended = embedded_system.run_to_end("logs")
    assert (ended.status, ended.errors) == (0, "")
    assert "consumer | " in ended.output
    assert "Leadgate is ready at" in ended.output


def test_no_credential_is_in_the_log(system: System) -> None:
    log, secrets = Log(system), Secrets()
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    logged = use_credentials(system, secrets, email)
    found = [log.one(request_id) for request_id in logged]
    log.close()
    assert any(exchange["request"]["payload"] == "[REDACTED]" for exchange in found)
    assert secrets.found_in(repr(found).encode()) == []
    raw = everything_of(system)
    assert email.encode() in raw  # a secret would be found beside it
    assert secrets.found_in(raw) == []


def use_credentials(system: System, secrets: Secrets, email: str) -> list[str]:
    """Signs in, makes a key and posts, rightly and wrongly, with secrets everywhere; the request ids."""
    logged: list[str] = []

    def ask(client: Client, method: str, path: str, body: Any, headers: Any = None) -> Any:
        answer = client.ask(method, path, body, headers)
        logged.append(str(answer.headers["X-Request-ID"]))
        return answer

    password = secrets.make("password")
    bearer = {"Authorization": f"Bearer {secrets.add_token(system.token(ADMIN))}"}
    with Client(system.port) as client:
        user = ask(client, "POST", USERS, {"email": email, "password": password}, bearer).data
        issued = ask(client, "POST", f"{USERS}{user['id']}/access_tokens", {}, bearer).json
        key = {"X-AUTH-Token": secrets.add("API key", issued["api_token"]), "Cookie": secrets.make("cookie")}
        login = ask(client, "POST", LOGIN, {"email": email, "password": password}).json
        secrets.add_token(login["token"])
        hidden = {"deep": [{"Api_Token": secrets.make("deep"), "x": {"PASSWORD": [secrets.make("deeper")]}}]}
        lead = new_lead(additionalData=hidden)
        # A lead that was accepted has its content in a table of its own, whatever that is called.
        assert ask(client, "POST", "/api/leads?dryRun=true", lead, key).status == 200
        ask(client, "GET", f"/api/leads?token={secrets.make('query')}", None, key)
        for path in (LOGIN, "/api/leads"):
            for body in (
                '{"email": "%s", "password": "%s',
                '{"email": "%s", "pass\\u0077ord": "%s", "n": NaN}',
                "email=%s&pass%%77ord=%s",
            ):
                ask(client, "POST", path, (body % (email, secrets.make("broken"))).encode(), key)
        # What is no credential by any name is kept of leads, but not of a login.
        ask(client, "POST", LOGIN, f'["{secrets.make("typed in the wrong place")}"]'.encode())
    return logged


def everything_of(system: System) -> bytes:
    """The raw files of database and queues, or all that MariaDB has in the tables of the log."""
    url = system.environment.get("DATABASE_URL")
    if not url:
        folder = Path(system.environment["DATA_DIR"])
        files = [*folder.glob("*.sqlite3*"), *folder.glob("queues/api-logs/*")]
        return b"".join(path.read_bytes() for path in files)
    parts = make_url(url)
    connection = pymysql.connect(
        host=parts.host,
        port=parts.port or 3306,
        user=parts.username,
        password=parts.password or "",
        database=parts.database,
    )
    with connection, connection.cursor() as cursor:
        rows = []
        for table in TABLES:
            cursor.execute(f"SELECT * FROM {table}")
            rows += cursor.fetchall()
    return repr(rows).encode()

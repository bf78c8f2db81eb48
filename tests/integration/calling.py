"""Both services as callers meet them: apps on a test's own database, and people with credentials."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Engine
from werkzeug.datastructures import Headers

import admin_service
import ingest_service
from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT, Identity
from shared.keys import KeyRing
from shared.passwords import Passwords
from shared.queues import Depth
from shared.running import start, stop
from shared.settings import Settings
from shared.times import Clock, utc_now
from tests.factories import PASSWORD, make_api_key, make_user
from tests.fakes import FakeProducer
from tests.waiting import wait_until

SERVICES = ("ingest", "admin")
LOGIN = "/api/login_check"
USERS = "/admin/api/user/"


def new_app(
    service: str,
    engine: Engine,
    keys: KeyRing,
    *,
    passwords: Passwords | None = None,
    ask_depth: Callable[[], Depth] | None = None,
    now: Clock = utc_now,
    producer: FakeProducer | None = None,
    **settings: Any,
) -> Flask:
    """An instance of one of SERVICES, as another process has it; it looks for changes only if `running`.

    Unless one is named, its DATA_DIR is gone when the app is: nothing comes into that of this tree.
    """
    identity = Identity(engine)
    folder = Path(tempfile.mkdtemp(prefix="leadgate-test-"))
    # With a log, an app that runs has a queue for it.
    of_app = Settings(**{"api_log": "off", "data_dir": folder} | settings)
    producer = producer or FakeProducer()
    if service == "ingest":
        app = ingest_service.create_app(
            of_app, producer=producer, identity=identity, keys=keys, passwords=passwords
        )
    else:
        app = admin_service.create_app(
            of_app,
            engine=engine,
            producer=producer,
            identity=identity,
            keys=keys,
            passwords=passwords,
            ask_depth=ask_depth,
            now=now,
        )
    weakref.finalize(app, shutil.rmtree, folder, ignore_errors=True)
    return app


@contextmanager
def running(app: Flask) -> Iterator[Flask]:
    """The app with what runs beside it: it sees changes by itself, and takes leads."""
    others = set(threading.enumerate())
    start(app)
    try:
        yield app
    finally:
        stop(app)
        ours = [thread for thread in threading.enumerate() if thread.name == "identity"]
        wait_until(lambda: not any(t.is_alive() for t in ours if t not in others), "its threads have ended")


@dataclass(frozen=True)
class Answer:
    """What came back for one request."""

    status_code: int
    headers: Headers
    data: bytes

    @property
    def text(self) -> str:
        return self.data.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class Caller:
    """Somebody who sends requests to `app`, each with `headers`."""

    def __init__(self, app: Flask, headers: Mapping[str, str] | None = None) -> None:
        self._app = app
        self._headers = dict(headers or {})

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
    ) -> Answer:
        """The answer. Bytes go out as they are, everything else as JSON; `address` is the peer's."""
        content: dict[str, Any] = {}
        headers = self._headers | dict(headers or {})
        if isinstance(body, bytes):
            content = {"data": body, "content_type": headers.pop("Content-Type", "application/json")}
        elif body is not None:
            content = {"json": body}
        response = self._app.test_client().open(
            path,
            method=method,
            headers=headers,
            environ_base={"REMOTE_ADDR": address},
            **content,
        )
        return Answer(response.status_code, response.headers, response.data)

    def knock(self) -> Answer:
        """Calls what partners may call: ingest then looks at an empty lead, admin shows a list of leads."""
        if self._app.import_name == "ingest_service":
            return self.post("/api/leads", {})
        return self.get("/api/leads")

    def is_let_in(self) -> bool:
        return self.knock().status_code in (200, 400)

    def get(self, path: str, **more: Any) -> Answer:
        return self.ask("GET", path, **more)

    def post(self, path: str, body: object = None, **more: Any) -> Answer:
        return self.ask("POST", path, body, **more)

    def put(self, path: str, body: object) -> Answer:
        return self.ask("PUT", path, body)

    def patch(self, path: str, body: object) -> Answer:
        return self.ask("PATCH", path, body)

    def delete(self, path: str) -> Answer:
        return self.ask("DELETE", path)


@dataclass(frozen=True)
class Person:
    """A user in the database, who has an API key and signs in with PASSWORD too."""

    id: int
    email: str
    api_key: str

    def calls(self, app: Flask) -> Caller:
        """The person, showing the key."""
        return Caller(app, {"X-AUTH-Token": self.api_key})

    def calls_with_token(self, app: Flask) -> Caller:
        """The person, showing a JWT that this app has issued just now."""
        return Caller(app, {"Authorization": f"Bearer {token_of(app, self.email)}"})


def add_partner(engine: Engine, email: str = "partner@example.com") -> Person:
    return _add(engine, email, ROLE_API_CLIENT)


def add_admin(engine: Engine, email: str = "admin@example.com") -> Person:
    return _add(engine, email, ROLE_ADMIN)


def _add(engine: Engine, email: str, role: str) -> Person:
    user_id = make_user(engine, email, roles=(role,))
    return Person(user_id, email, make_api_key(engine, user_id))


def log_in(app: Flask, email: str, password: str = PASSWORD, **more: Any) -> Answer:
    """The answer to a login."""
    return Caller(app).post(LOGIN, {"email": email, "password": password}, **more)


def token_of(app: Flask, email: str, password: str = PASSWORD) -> str:
    """A JWT of that user."""
    answer = log_in(app, email, password)
    assert answer.status_code == 200, answer.text
    return str(answer.json["token"])


def created(admin: Caller, **described: Any) -> dict[str, Any]:
    """A new user, as the answer to its creation shows it."""
    answer = admin.post(USERS, {"email": "new@example.com"} | described)
    assert answer.status_code == 201, answer.text
    user: dict[str, Any] = answer.json["data"]
    return user


def is_error(answer: Answer, code: int, message: str) -> bool:
    """Whether it is that error in the one shape, of a route that is none of the first seed's."""
    assert answer.status_code == code, answer.text
    body = answer.json
    assert set(body) - {"errors", "retry_after"} == {"status", "code", "message"}
    assert (body["status"], body["code"], body["message"]) == ("error", code, message)
    return True


def is_seed_error(answer: Answer, code: int, word: str, message: str) -> bool:
    """Whether it is that error in the words of the first seed."""
    assert answer.status_code == code, answer.text
    body = answer.json
    assert set(body) - {"errors"} == {"status", "code", "message"}
    assert (body["status"], body["code"], body["message"]) == (word, code, message)
    return True

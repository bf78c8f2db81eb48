"""What a run needs of an admin: a partner of its own, and afterwards the leads that arrived."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

import orjson
import requests

UNLIMITED = 10**9
ANSWER_SECONDS = 30.0
STORED_SECONDS = 60.0  # without another lead


class CannotLoad(Exception):
    """The run cannot begin or cannot be judged; says why in a line."""


@dataclass(frozen=True)
class Partner:
    """Who posts in a run, with both ways of signing in."""

    id: int
    token: str
    api_key: str


class Office:
    """An admin at `url`. Every method raises CannotLoad if it is refused."""

    def __init__(self, url: str, email: str, password: str) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {self._sign_in(email, password)}"

    def open_account(self) -> Partner:
        """A new partner who may send as much as it likes."""
        name, password = uuid.uuid4().hex, uuid.uuid4().hex
        user = {
            "email": f"load-{name}@example.com",
            "password": password,
            "fullName": "Load test",
            "rateLimitPerMinute": UNLIMITED,
        }
        id = self._ask("POST", "/admin/api/user/", user)["data"]["id"]
        key = self._ask("POST", f"/admin/api/user/{id}/access_tokens", {"expirationDate": None})
        return Partner(id, self._sign_in(user["email"], password), key["api_token"])

    def close_account(self, partner: Partner) -> None:
        """The partner is gone; its leads stay."""
        self._ask("DELETE", f"/admin/api/user/{partner.id}")

    def listed(self, partner: Partner, expected: int) -> set[str]:
        """The ids of all leads of `partner`, once there are `expected` or STORED_SECONDS bring no more."""
        most, deadline = -1, 0.0
        while (stored := self._stored(partner)) < expected:
            if stored > most:
                most, deadline = stored, time.monotonic() + STORED_SECONDS
            elif time.monotonic() > deadline:
                break
            time.sleep(0.5)
        return self._ids(partner)

    def _stored(self, partner: Partner) -> int:
        page = self._ask("GET", f"/api/leads?clientId={partner.id}&limit=1")["data"]
        return int(page["pagination"]["total"])

    def _ids(self, partner: Partner) -> set[str]:
        export = f"/api/leads/export?format=ndjson&clientId={partner.id}"
        with self._request("GET", export, stream=True) as answer:
            try:
                return {orjson.loads(line)["id"] for line in answer.iter_lines(chunk_size=1024 * 1024)}
            except requests.RequestException as error:
                raise CannotLoad(f"the export broke off ({type(error).__name__})") from None

    def _sign_in(self, email: str, password: str) -> str:
        answer = self._ask("POST", "/api/login_check", {"email": email, "password": password})
        return str(answer["token"])

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._request(method, path, json=body)
        return dict(answer.json()) if answer.content else {}

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            answer = self._session.request(method, self._url + path, timeout=ANSWER_SECONDS, **options)
        except requests.RequestException as error:
            raise CannotLoad(
                f"{self._url} does not answer ({type(error).__name__}); is it running?"
            ) from None
        if not answer.ok:
            raise CannotLoad(f"{method} {path.partition('?')[0]}: {answer.status_code} {answer.text[:300]}")
        return answer

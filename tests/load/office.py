"""What a run needs of an admin: a partner of its own, and afterwards the leads that arrived."""

from __future__ import annotations

import time
import uuid
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import requests

UNLIMITED = 10**9
PAGE = 100
ANSWER_SECONDS = 30.0
STORED_SECONDS = 60.0


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

    def listed(self, partner: Partner, expected: Set[str]) -> set[str]:
        """The ids of all leads of `partner`, once `expected` are among them, or after STORED_SECONDS."""
        deadline = time.monotonic() + STORED_SECONDS
        while not expected <= (found := self._ids(partner)) and time.monotonic() < deadline:
            time.sleep(0.5)
        return found

    def _ids(self, partner: Partner) -> set[str]:
        found: set[str] = set()
        cursor = ""
        while True:
            where = f"clientId={partner.id}&limit={PAGE}" + (f"&cursor={cursor}" if cursor else "")
            page = self._ask("GET", f"/api/leads?{where}")["data"]
            found.update(item["id"] for item in page["items"])
            cursor = page["pagination"]["nextCursor"]
            if not cursor or not page["items"]:
                return found

    def _sign_in(self, email: str, password: str) -> str:
        answer = self._ask("POST", "/api/login_check", {"email": email, "password": password})
        return str(answer["token"])

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = self._session.request(method, self._url + path, json=body, timeout=ANSWER_SECONDS)
        except requests.RequestException as error:
            raise CannotLoad(
                f"{self._url} does not answer ({type(error).__name__}); is it running?"
            ) from None
        if not answer.ok:
            raise CannotLoad(f"{method} {path.partition('?')[0]}: {answer.status_code} {answer.text[:300]}")
        return dict(answer.json()) if answer.content else {}

"""A small HTTP client, and what a partner says with it."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from types import TracebackType
from typing import Any

ANSWER_SECONDS = 30.0
LISTED_SECONDS = 30.0
PAGE = 100
JSON = {"Content-Type": "application/json"}

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    """What came back for one request."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.body)
        assert isinstance(value, dict), self.body
        return value

    @property
    def data(self) -> dict[str, Any]:
        """The `data` of the envelope."""
        data = self.json["data"]
        assert isinstance(data, dict), self.body
        return data


class Client:
    """One keep-alive connection to a port of this machine; `token` is a JWT to send along."""

    def __init__(self, port: int, token: str = "") -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make one request: a dict goes out as JSON, an iterator in chunks.

        Raises ConnectionError when the connection was closed in place of an answer.
        """
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        sent = {**self._headers, **({} if body is None else JSON), **(headers or {})}
        try:
            self._connection.request(method, path, content, sent)
            response = self._connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        except BaseException:
            self._connection.close()
            raise

    def post_lead(self, **changes: Any) -> Answer:
        return self.ask("POST", "/api/leads", new_lead(**changes))

    def listed(self) -> list[dict[str, Any]]:
        """Every lead that the caller may see, page by page; nothing may be stored meanwhile."""
        leads: list[dict[str, Any]] = []
        for page in itertools.count(1):
            answer = self.ask("GET", f"/api/leads?limit={PAGE}&page={page}")
            assert answer.status == 200, answer.body
            leads += answer.data["items"]
            if page >= answer.data["pagination"]["total_pages"]:
                return leads
        raise AssertionError("unreachable")

    def listed_ids(self) -> list[str]:
        return [lead["id"] for lead in self.listed()]

    def total(self) -> int:
        answer = self.ask("GET", "/api/leads?limit=1")
        assert answer.status == 200, answer.body
        total = answer.data["pagination"]["total"]
        assert isinstance(total, int)
        return total

    def wait_for_lead(self, lead_id: str) -> dict[str, Any]:
        """The lead, once it can be read back."""
        answer = self.ask("GET", f"/api/leads/{lead_id}?wait=10")
        assert answer.status == 200, answer.body
        return answer.data

    def wait_for_total(self, total: int) -> None:
        """Return once that many leads are listed, or more."""
        give_up_at = time.monotonic() + LISTED_SECONDS
        while (found := self.total()) < total:
            assert time.monotonic() < give_up_at, f"{found} of {total} leads listed in {LISTED_SECONDS:g} s"
            time.sleep(0.05)


def new_lead(**changes: Any) -> dict[str, Any]:
    """The fields that a lead must have, with an email of its own, and `changes`."""
    return {
        "firstName": "Zoë",
        "lastName": "Müller",
        "email": f"zoe.{next(_numbers)}.{uuid.uuid4().hex[:8]}@example.com",
        "phone": "+4915112345678",
        "dateOfBirth": "1990-02-28",
    } | changes

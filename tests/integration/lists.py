"""Lists of leads as those see them who ask for them, and what they should see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

from flask import Flask
from sqlalchemy import Engine

from shared.columns import sort_key
from shared.messages import Lead
from tests.factories import NOON, make_batch, make_writer
from tests.integration.calling import Person

SORTS = ("createdAt", "storedAt", "firstName", "lastName", "email")
ORDERS = ("ASC", "DESC")


class Reader:
    """Somebody who reads leads."""

    def __init__(self, person: Person, app: Flask) -> None:
        self.id = person.id
        self._caller = person.calls(app)

    def ask(self, code: int = 200, **query: Any) -> Any:
        """The JSON of the answer, which must have that code. `from_` stands for `from`."""
        if "from_" in query:
            query["from"] = query.pop("from_")
        answer = self._caller.get(f"/api/leads?{urlencode(query)}")
        assert answer.status_code == code, answer.text
        return answer.json

    def page(self, **query: Any) -> tuple[list[str], dict[str, Any]]:
        """The ids on a page, and what is said of all pages."""
        data = self.ask(**query)["data"]
        return [item["id"] for item in data["items"]], data["pagination"]

    def ids(self, **query: Any) -> list[str]:
        """The ids on a page."""
        return self.page(**query)[0]

    def steps(self, **query: Any) -> Iterator[list[str]]:
        """The ids on each page, found by cursors."""
        ids, said = self.page(**query)
        yield ids
        while said["nextCursor"] is not None:
            ids, said = self.page(cursor=said["nextCursor"], **query)
            yield ids

    def walk(self, **query: Any) -> list[str]:
        """The ids on all pages, found by cursors."""
        return [id for ids in self.steps(**query) for id in ids]

    def leaf(self, limit: int, **query: Any) -> list[str]:
        """The ids on all pages, found by their numbers."""
        ids, said = self.page(limit=limit, **query)
        for number in range(2, said["total_pages"] + 1):
            ids += self.ids(page=number, limit=limit, **query)
        return ids


def store(engine: Engine, *leads: Lead) -> None:
    """Stores the leads, long ago."""
    make_writer(engine, lambda: NOON).write([(make_batch(list(leads)), 0)])


_KEYS: dict[str, Callable[[Lead], Any]] = {
    "createdAt": lambda lead: 0,
    "storedAt": lambda lead: 0,  # of leads that were stored together
    "firstName": lambda lead: sort_key(lead.content["firstName"]),
    "lastName": lambda lead: sort_key(lead.content["lastName"]),
    "email": lambda lead: sort_key(lead.content["email"]),
}


def in_order(leads: list[Lead], sort_by: str, order: str) -> list[str]:
    """The ids of leads that were stored together, as a list sorted like that should have them."""
    key = _KEYS[sort_by]
    ordered = sorted(leads, key=lambda lead: (key(lead), lead.received_at, lead.id.bytes))
    return [str(lead.id) for lead in (ordered if order == "ASC" else reversed(ordered))]

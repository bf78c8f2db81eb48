"""Admins read the log of exchanges."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from admin_service import logs
from consumer.log_writer import LogWriter
from shared.exchanges import Exchange
from shared.keys import KeyRing
from shared.times import format_time
from tests.factories import NOON, make_exchange
from tests.integration.calling import Caller, add_admin, add_partner, new_app

LOGS = "/admin/api/logs"


class Reader:
    """An admin who reads the log in `engine`."""

    def __init__(self, engine: Engine, keys: KeyRing) -> None:
        self._engine = engine
        self._caller = add_admin(engine).calls(new_app("admin", engine, keys))

    def logged(self, **exchange: Any) -> Exchange:
        """An exchange that is in the log."""
        made = make_exchange(**exchange)
        LogWriter(lambda: pytest.fail("no queue is needed"), self._engine).write([made])
        return made

    def ask(self, code: int = 200, **query: Any) -> Any:
        answer = self._caller.get(f"{LOGS}?{urlencode(query)}")
        assert answer.status_code == code, answer.text
        return answer.json

    def found(self, **query: Any) -> list[str]:
        """The request ids of a page."""
        return [item["requestId"] for item in self.ask(**query)["data"]["items"]]

    def one(self, request_id: str, query: str = "", code: int = 200) -> Any:
        answer = self._caller.get(f"{LOGS}/{request_id}{query}")
        assert answer.status_code == code, answer.text
        return answer.json

    def faults(self, **query: Any) -> Any:
        return self.ask(400, **query)["errors"]


@pytest.fixture
def reader(engine: Engine, keys: KeyRing) -> Reader:
    return Reader(engine, keys)


@pytest.fixture
def lite(sqlite_engine: Engine, keys: KeyRing) -> Reader:
    """Where the kind of database does not matter."""
    return Reader(sqlite_engine, keys)


def test_the_newest_come_first_in_pages(reader: Reader) -> None:
    made = [reader.logged(request_id=f"r{number}") for number in range(5)]
    assert reader.found(limit=2) == ["r4", "r3"]
    assert reader.found(limit=2, page=3) == ["r0"]
    assert reader.found(limit=2, page=4) == []
    data = reader.ask(limit=2)["data"]
    pagination = {"page": 1, "limit": 2, "total": 5, "totalIsExact": True, "total_pages": 3}
    assert data["pagination"] == pagination
    assert data["items"][0] == {
        "id": str(made[4].id),
        "requestId": "r4",
        "receivedAt": format_time(made[4].received_at),
        "method": "POST",
        "endpoint": "/api/leads",
        "query": None,
        "clientId": 1,
        "address": "192.0.2.1",
        "userAgent": "curl/8",
        "status": 200,
        "durationMs": 1.234,
    }


def test_each_filter_finds_its_own_and_all_of_them_together(reader: Reader) -> None:
    late = {"received_at": NOON + timedelta(hours=1)}
    reader.logged(request_id="lead", status=201)
    reader.logged(request_id="refused", status=400, client_id=2)
    reader.logged(request_id="listed", method="GET")
    reader.logged(request_id="user", method="GET", endpoint="/admin/api/user/", client_id=3)
    reader.logged(request_id="nobody", status=401, client_id=None, endpoint="/api/leads/batch")
    reader.logged(request_id="late", status=503, **late)
    assert reader.found(status=201) == ["lead"]
    assert reader.found(errors="true") == ["late", "nobody", "refused"]
    assert reader.found(errors="false") == ["user", "listed", "lead"]
    assert reader.found(method="GET") == ["user", "listed"]
    assert reader.found(clientId=2) == ["refused"]
    assert reader.found(endpoint="/admin/api/user") == reader.found(endpoint="/admin/api/user/") == ["user"]
    assert reader.found(endpoint="/api/leads") == ["late", "listed", "refused", "lead"]
    assert reader.found(endpoint="/api/leads/*") == ["nobody"]
    assert reader.found(endpoint="/api/_eads*") == []
    assert reader.found(**{"from": "2026-06-01T13:00:00Z"}) == ["late"]
    assert reader.found(to="2026-06-01T13:00:00Z", limit=1) == ["nobody"]
    assert reader.found(requestId="user") == ["user"]
    together = {"status": 400, "method": "POST", "endpoint": "/api/leads", "clientId": 2, "errors": "true"}
    assert reader.found(**together, **{"from": "2026-06-01", "to": "2026-06-02"}) == ["refused"]
    assert reader.found(**together | {"clientId": 1}) == []


def test_one_exchange_shows_request_and_response(reader: Reader) -> None:
    made = reader.logged(
        request_id="mine.1",
        query="dryRun=true",
        payload='{"big":12345678901234567,"n":1.50}',
        body='["a", "cut off… [CUT, 9 bytes in all]',
        status=207,
    )
    found = reader.one("mine.1")["data"]
    assert found == {
        "id": str(made.id),
        "request": {
            "requestId": "mine.1",
            "receivedAt": format_time(made.received_at),
            "method": "POST",
            "endpoint": "/api/leads",
            "query": "dryRun=true",
            "clientId": 1,
            "address": "192.0.2.1",
            "userAgent": "curl/8",
            "payload": {"big": 12345678901234567, "n": 1.5},
        },
        "response": {
            "status": 207,
            "durationMs": 1.234,
            "body": '["a", "cut off… [CUT, 9 bytes in all]',
        },
    }


def test_of_a_request_id_used_again_the_newest_is_shown_and_all_are_listed(reader: Reader) -> None:
    first = reader.logged(request_id="again", status=503)
    second = reader.logged(request_id="again", status=201)
    reader.logged(request_id="other")
    assert reader.one("again")["data"]["id"] == str(second.id)
    assert reader.one("again", f"?id={first.id}")["data"]["response"]["status"] == 503
    assert [item["id"] for item in reader.ask(requestId="again")["data"]["items"]] == [
        str(second.id),
        str(first.id),
    ]


def test_an_exchange_that_is_not_there_is_404(lite: Reader) -> None:
    lite.logged(request_id="there")
    assert lite.one("nowhere", code=404)["message"] == "Log not found"
    lite.one("there", f"?id={uuid4()}", code=404)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "99"),
        ("status", "ok"),
        ("errors", "maybe"),
        ("method", "BREW"),
        ("endpoint", ""),
        ("clientId", "0"),
        ("from", "yesterday"),
        ("to", "2026-13-01"),
        ("page", "0"),
        ("limit", "101"),
        ("requestId", "x" * 65),
        ("unknown", "1"),
    ],
)
def test_a_parameter_that_will_not_do_is_named(lite: Reader, name: str, value: str) -> None:
    assert list(lite.faults(**{name: value})) == [name]


def test_times_in_the_wrong_order_are_refused(lite: Reader) -> None:
    assert list(lite.faults(**{"from": "2026-02-01", "to": "2026-01-01"})) == ["to"]


def test_an_unknown_parameter_of_one_exchange_is_named(lite: Reader) -> None:
    assert list(lite.one("x", "?id=1", code=400)["errors"]) == ["id"]
    assert list(lite.one("x", "?wait=1", code=400)["errors"]) == ["wait"]


def test_many_exchanges_are_counted_and_leafed_through_up_to_a_limit(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "COUNTED", 4)
    for number in range(6):
        reader.logged(request_id=f"r{number}", status=200 + number % 2)
    pagination = reader.ask(limit=2)["data"]["pagination"]
    assert (pagination["total"], pagination["totalIsExact"], pagination["total_pages"]) == (4, False, 2)
    assert reader.found(limit=2, page=2) == ["r3", "r2"]
    assert list(reader.faults(limit=2, page=3)) == ["page"]
    assert reader.ask(limit=2, status=200)["data"]["pagination"]["totalIsExact"] is True
    assert reader.found(limit=2, page=10, status=200) == []


def test_only_admins_may_read_the_log(sqlite_engine: Engine, keys: KeyRing) -> None:
    app = new_app("admin", sqlite_engine, keys)
    partner = add_partner(sqlite_engine).calls(app)
    for path in (LOGS, f"{LOGS}/x"):
        assert partner.get(path).status_code == 403
        assert Caller(app).get(path).status_code == 401

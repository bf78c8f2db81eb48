"""How many leads came when, from whom, and what became of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import Engine

from shared.keys import KeyRing
from shared.messages import Lead
from shared.times import format_time
from tests.factories import make_batch, make_lead, make_writer
from tests.integration.calling import Caller, Person, add_admin, add_partner, is_error, new_app

NOW = datetime(2026, 6, 10, 12, 34, 56, tzinfo=UTC)
PATH = "/admin/api/stats"


@pytest.fixture
def app(engine: Engine, keys: KeyRing) -> Flask:
    """The admin service on a Wednesday after lunch."""
    return new_app("admin", engine, keys, now=lambda: NOW)


@pytest.fixture
def small_app(sqlite_engine: Engine, keys: KeyRing) -> Flask:
    """The same, on SQLite only."""
    return new_app("admin", sqlite_engine, keys, now=lambda: NOW)


def at(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 6, day, hour, minute, second, tzinfo=UTC)


def accept(engine: Engine, partner: Person, *moments: datetime, **content: Any) -> None:
    """Leads of that partner, received at these times, have been written."""
    leads = [make_lead(client_id=partner.id, received_at=moment, **content) for moment in moments]
    write(engine, leads)


def write(engine: Engine, leads: list[Lead]) -> None:
    make_writer(engine).write([(make_batch(leads), 0)])


def ask(admin: Caller, **query: Any) -> dict[str, Any]:
    if "from_" in query:
        query["from"] = query.pop("from_")
    query = {name: format_time(v) if isinstance(v, datetime) else v for name, v in query.items()}
    answer = admin.get(f"{PATH}?{urlencode(query)}")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json["data"]
    return data


def accepted(data: dict[str, Any]) -> list[tuple[str, int]]:
    """Bucket and number of accepted leads, as they stand there."""
    return [(item["bucket"], item["accepted"]) for item in data["items"]]


def test_leads_are_counted_by_bucket_and_partner(app: Flask, engine: Engine) -> None:
    admin, ada, bob = (
        add_admin(engine).calls(app),
        add_partner(engine, "ada@example.com"),
        add_partner(engine, "bob@example.com"),
    )
    accept(engine, ada, at(10, 9, 5), at(10, 9, 59, 59), at(10, 11))
    accept(engine, bob, at(10, 9, 30))

    data = ask(admin, bucket="hour", from_=at(10), to=at(11))

    assert [(i["bucket"], i["clientId"], i["clientEmail"], i["accepted"]) for i in data["items"]] == [
        (format_time(at(10, 9)), ada.id, "ada@example.com", 2),
        (format_time(at(10, 9)), bob.id, "bob@example.com", 1),
        (format_time(at(10, 11)), ada.id, "ada@example.com", 1),
    ]
    assert data["totals"] == {"accepted": 4, "stored": 4, "duplicate": 0, "quarantined": 0}
    assert data["pagination"]["total"] == 3


def test_whatever_became_of_a_lead_it_was_accepted(app: Flask, engine: Engine) -> None:
    partner = add_partner(engine)
    twins = [
        make_lead(client_id=partner.id, received_at=at(10, 9), email="ada@example.com") for _ in range(3)
    ]
    broken = make_lead(client_id=partner.id, received_at=at(10, 9), email=None)
    write(engine, [*twins, broken])

    data = ask(add_admin(engine).calls(app), from_=at(10), to=at(11))

    expected = {"accepted": 4, "stored": 1, "duplicate": 2, "quarantined": 1}
    assert data["totals"] == expected
    (item,) = data["items"]
    assert item | expected == item


@pytest.mark.parametrize(
    ("bucket", "expected"),
    [
        ("minute", [(at(9, 23, 59), 1), (at(10, 0, 0), 2), (at(10, 0, 1), 1)]),
        ("hour", [(at(9, 23), 1), (at(10), 3)]),
        ("day", [(at(9), 1), (at(10), 3)]),
    ],
)
def test_each_lead_is_in_the_bucket_in_which_it_was_received(
    app: Flask, engine: Engine, bucket: str, expected: list[tuple[datetime, int]]
) -> None:
    moments = (at(9, 23, 59, 59), at(10), at(10, 0, 0, 30), at(10, 0, 1))
    accept(engine, add_partner(engine), *moments)

    data = ask(add_admin(engine).calls(app), bucket=bucket, from_=at(9), to=at(11))

    assert accepted(data) == [(format_time(bucket), number) for bucket, number in expected]


def test_the_first_bucket_is_whole_and_the_end_is_left_out(small_app: Flask, sqlite_engine: Engine) -> None:
    accept(sqlite_engine, add_partner(sqlite_engine), at(10, 8, 59), at(10, 9, 1), at(10, 10, 1), at(10, 11))
    admin = add_admin(sqlite_engine).calls(small_app)

    data = ask(admin, bucket="hour", from_=at(10, 9, 40), to=at(10, 11))

    assert accepted(data) == [(format_time(at(10, 9)), 1), (format_time(at(10, 10)), 1)]
    assert (data["from"], data["to"]) == (format_time(at(10, 9)), format_time(at(10, 11)))


@pytest.mark.parametrize(
    ("bucket", "begin"),
    [("minute", at(10, 11, 34)), ("hour", at(9, 12)), ("day", datetime(2026, 5, 11, tzinfo=UTC))],
)
def test_without_a_period_the_latest_buckets_are_shown(
    small_app: Flask, sqlite_engine: Engine, bucket: str, begin: datetime
) -> None:
    accept(sqlite_engine, add_partner(sqlite_engine), begin - timedelta(seconds=1), begin, NOW)

    data = ask(add_admin(sqlite_engine).calls(small_app), bucket=bucket)

    assert (data["from"], data["to"]) == (format_time(begin), format_time(NOW))
    assert data["totals"]["accepted"] == 2


def test_one_partner_or_test_leads_alone_may_be_asked_for(small_app: Flask, sqlite_engine: Engine) -> None:
    ada, bob = add_partner(sqlite_engine, "ada@example.com"), add_partner(sqlite_engine, "bob@example.com")
    admin = add_admin(sqlite_engine).calls(small_app)
    accept(sqlite_engine, ada, at(10, 9), at(10, 9))
    accept(sqlite_engine, ada, at(10, 9), test=True)
    accept(sqlite_engine, bob, at(10, 9))

    totals = [
        ask(admin, **query)["totals"]["accepted"]
        for query in ({}, {"clientId": ada.id}, {"test": "true"}, {"test": "false", "clientId": ada.id})
    ]

    assert totals == [4, 3, 1, 2]


def test_pages_follow_each_other_and_the_totals_are_of_all(small_app: Flask, sqlite_engine: Engine) -> None:
    accept(sqlite_engine, add_partner(sqlite_engine), *(at(10, hour) for hour in range(5)))
    admin = add_admin(sqlite_engine).calls(small_app)

    pages = [ask(admin, from_=at(10), page=page, limit=2) for page in (1, 2, 3)]

    hours = [bucket for page in pages for bucket, _ in accepted(page)]
    assert hours == [format_time(at(10, hour)) for hour in range(5)]
    assert {page["totals"]["accepted"] for page in pages} == {5}
    assert pages[0]["pagination"]["total_pages"] == 3


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"bucket": "week"}, {"bucket"}),
        ({"from": "yesterday"}, {"from"}),
        ({"from": "2026-06-10", "to": "2026-06-09"}, {"to"}),
        ({"bucket": "hour", "from": "2025-01-01"}, {"from", "to"}),
        ({"bucket": "day", "from": "2000-01-01"}, {"from", "to"}),
        ({"bucket": "minute", "from": "2026-06-08T12:32:00Z", "to": "2026-06-08T13:00:00Z"}, {"from"}),
        ({"limit": "10001"}, {"limit"}),
        ({"partner": "1"}, {"partner"}),
    ],
)
def test_a_parameter_that_will_not_do_is_named(
    small_app: Flask, sqlite_engine: Engine, query: dict[str, str], named: set[str]
) -> None:
    answer = add_admin(sqlite_engine).calls(small_app).get(f"{PATH}?{urlencode(query)}")

    assert is_error(answer, 400, "Validation failed")
    assert set(answer.json["errors"]) == named


def test_a_partner_is_told_nothing(small_app: Flask, sqlite_engine: Engine) -> None:
    answer = add_partner(sqlite_engine).calls(small_app).get(PATH)

    assert is_error(answer, 403, "Access denied")

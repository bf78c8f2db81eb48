"""Filters and totals: which leads a list has, and how many it says there are."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, update

from admin_service import lead_hours, lead_listing
from shared.database import upsert, writing
from shared.keys import KeyRing
from shared.messages import Lead
from shared.models import lead_counts, leads
from shared.times import format_time
from tests.factories import NOON, make_lead
from tests.integration.calling import add_admin, add_partner, new_app
from tests.integration.lists import Reader, in_order, store

MIDNIGHT = datetime(2026, 6, 2, tzinfo=UTC)
# Where hours and days begin, a microsecond before, and in between.
MOMENTS = [
    MIDNIGHT + timedelta(days=days, hours=hours, microseconds=microseconds)
    for days, hours, microseconds in itertools.product((-2, 0, 1), (0, 9), (-1, 0, 1_800_000_001))
]


@pytest.fixture
def partner(engine: Engine, keys: KeyRing) -> Reader:
    return Reader(add_partner(engine), new_app("admin", engine, keys, rate_limit_per_minute=10**6))


@pytest.fixture
def admin(engine: Engine, keys: KeyRing) -> Reader:
    return Reader(add_admin(engine), new_app("admin", engine, keys, rate_limit_per_minute=10**6))


def finds(reader: Reader, found: list[Lead], **query: Any) -> bool:
    """Whether the list has these leads, the newest first, and says how many they are."""
    ids, said = reader.page(limit=100, **query)
    assert ids == in_order(found, "createdAt", "DESC"), query
    assert (said["total"], said["totalIsExact"]) == (len(found), True), query
    return True


def test_every_mix_of_client_kind_and_time_is_listed_and_counted(engine: Engine, admin: Reader) -> None:
    stored = [
        make_lead(client_id=client, received_at=moment, test=test)
        for client, test, moment in itertools.product((7, 8), (True, False), MOMENTS)
    ]
    quarantined = make_lead(client_id=7, received_at=MIDNIGHT, dateOfBirth="never")
    store(engine, *stored, quarantined)

    edges: list[datetime | None] = [None, MIDNIGHT - timedelta(days=2), MOMENTS[-4], MOMENTS[-1]]
    for client, test, begin, end in itertools.product((None, 7), (None, True), edges, edges):
        if begin is not None and end is not None and end < begin:
            continue
        query = {"clientId": client, "test": test and "true", "from_": begin, "to": end}
        found = [
            lead
            for lead in stored
            if client in (None, lead.client_id)
            and test in (None, lead.content["test"])
            and (begin is None or begin <= lead.received_at)
            and (end is None or lead.received_at < end)
        ]
        assert finds(
            admin,
            found,
            **{
                name: format_time(value) if isinstance(value, datetime) else value
                for name, value in query.items()
                if value is not None
            },
        )


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"test": "true"},
        {"clientId": "7"},
        {"from_": "2026-05-31T00:20:00Z", "test": "false"},
        {"to": "2026-06-03T09:10:00Z"},
    ],
)
# All buckets are near enough to be read in their order, or some, or none is.
@pytest.mark.parametrize(("near", "small_part"), [(32, 1.0), (2, 1.0), (2, 0.0)])
def test_pages_far_down_are_found_by_the_hour(
    engine: Engine,
    admin: Reader,
    monkeypatch: pytest.MonkeyPatch,
    query: dict[str, str],
    near: int,
    small_part: float,
) -> None:
    monkeypatch.setattr(lead_listing, "SKIPPED_BY_READING", 1)
    monkeypatch.setattr(lead_hours, "NEAR", near)
    monkeypatch.setattr(lead_hours, "SMALL_PART", small_part)
    moments = [moment + timedelta(minutes=7 * n) for moment in MOMENTS for n in range(2)]
    stored = [
        make_lead(client_id=number % 2 + 7, received_at=moment, test=number % 5 == 0)
        for number, moment in enumerate(moments)
    ]
    store(engine, *stored)
    found = [
        lead
        for lead in stored
        if query.get("test") in (None, str(lead.content["test"]).lower())
        and query.get("clientId") in (None, str(lead.client_id))
        and query.get("from_", "") <= format_time(lead.received_at) < query.get("to", "3")
    ]

    for order in ("ASC", "DESC"):
        expected = in_order(found, "createdAt", order)
        assert admin.leaf(limit=5, sortOrder=order, **query) == expected
        assert admin.walk(limit=5, sortOrder=order, **query) == expected
    assert admin.ids(page=1000, **query) == []


def test_leads_are_found_by_status(engine: Engine, partner: Reader) -> None:
    first, second = make_lead(client_id=partner.id), make_lead(client_id=partner.id)
    store(engine, first, second)
    mark_as_duplicate(engine, second)

    assert finds(partner, [first], status="stored")
    assert finds(partner, [second], status="duplicate")
    assert finds(partner, [second], status="duplicate", from_="2026-06-01T11:00:00Z", to="2026-06-02")
    assert finds(partner, [], status="duplicate", test="true")
    assert finds(partner, [first, second])


def mark_as_duplicate(engine: Engine, lead: Lead) -> None:
    with writing(engine).begin() as connection:
        connection.execute(update(leads).where(leads.c.id == lead.id).values(status="duplicate"))
        rows = connection.execute(lead_counts.select()).all()
        moved = [row._asdict() | {"leads": 1, "status": "duplicate"} for row in rows]
        connection.execute(update(lead_counts).values(leads=lead_counts.c.leads - 1))
        upsert(connection, lead_counts, moved, add=["leads"])


def test_an_email_is_found_however_it_is_written(engine: Engine, partner: Reader, admin: Reader) -> None:
    one = make_lead(client_id=partner.id, email="Zoë.STRASSE@example.com")
    other = make_lead(client_id=99, email="zoe\u0308.straße@EXAMPLE.com")
    store(engine, one, other, make_lead(client_id=partner.id, email="zoe.strasse@example.com"))

    assert finds(partner, [one], email="ZOË.straße@example.com")
    assert finds(admin, [one, other], email="ZOË.straße@example.com")
    assert finds(admin, [other], email="ZOË.straße@example.com", clientId=99)
    assert finds(admin, [one], email="zoë.strasse@example.com", to=format_time(other.received_at))


def test_a_phone_number_is_found_as_it_was_sent(engine: Engine, partner: Reader) -> None:
    one = make_lead(client_id=partner.id, phone="+4915199999999")
    blank = make_lead(client_id=partner.id, phone="0151 99 ")
    store(engine, one, blank, make_lead(client_id=partner.id))

    assert finds(partner, [one], phone="+4915199999999")
    assert finds(partner, [one], phone=" 4915199999999")  # what becomes of a + that is not escaped
    assert finds(partner, [blank], phone="0151 99 ")
    assert finds(partner, [], phone="0151 99")
    assert finds(partner, [], phone="4915199999999")


@pytest.mark.parametrize(
    ("since", "found"),
    [
        ("2026-06-02", True),
        ("2026-06-02T00:00:00Z", True),
        ("2026-06-02t00:00:00.000000z", True),
        ("2026-06-02T05:30:00+05:30", True),
        ("2026-06-02T05:30:00 05:30", True),  # the same with a + that is not escaped
        ("2026-06-01T22:00:00-02:00", True),
        ("2026-06-02T00:00:00.000001Z", False),
        ("2026-06-02T00:00:00.000000999Z", True),
        ("0001-01-01T00:00:00+23:59", None),
        ("0001-01-01", True),
        ("9999-12-31T23:59:59.999999Z", False),
        ("9999-12-31T23:59:59-12:00", None),
        ("2026-06-02T24:00:00Z", None),
        ("2026-06-02T00:00:00", None),
        ("2026-06-02T00:00Z", None),
        ("20260602", None),
        ("2026-W23-2", None),
        ("٢٠٢٦-٠٦-٠٢", None),
    ],
)
def test_times_are_those_of_rfc_3339_or_dates(
    sqlite_engine: Engine, keys: KeyRing, since: str, found: bool | None
) -> None:
    partner = Reader(add_partner(sqlite_engine), new_app("admin", sqlite_engine, keys))
    lead = make_lead(client_id=partner.id, received_at=MIDNIGHT)
    store(sqlite_engine, lead)

    if found is None:
        assert list(partner.ask(400, from_=since)["errors"]) == ["from"]
        assert list(partner.ask(400, to=since)["errors"]) == ["to"]
    else:
        assert finds(partner, [lead] if found else [], from_=since)
        assert finds(partner, [] if found else [lead], to=since)


def test_an_admin_only_asks_for_the_leads_of_one_client(
    engine: Engine, partner: Reader, admin: Reader
) -> None:
    lead = make_lead(client_id=partner.id)
    store(engine, lead, make_lead(client_id=99))

    assert finds(admin, [lead], clientId=partner.id)
    assert finds(admin, [], clientId=12345)
    assert list(partner.ask(400, clientId=partner.id)["errors"]) == ["clientId"]
    assert list(admin.ask(400, clientId=0)["errors"]) == ["clientId"]
    assert list(admin.ask(400, clientId=2**63)["errors"]) == ["clientId"]


def test_what_is_not_counted_beforehand_is_counted_up_to_10000(sqlite_engine: Engine, keys: KeyRing) -> None:
    partner = Reader(add_partner(sqlite_engine), new_app("admin", sqlite_engine, keys))
    number = 10_003
    stored = [
        make_lead(client_id=partner.id, received_at=NOON + timedelta(seconds=n), phone="+4910")
        for n in range(number)
    ]
    for first in range(0, number, 1000):
        store(sqlite_engine, *stored[first : first + 1000])
    later = format_time(NOON + timedelta(seconds=3))

    for query, total, exact in (
        ({}, number, True),
        ({"from_": "2026-06-01T12:00:00Z"}, number, True),
        ({"phone": "+4910"}, 10_000, False),
        ({"phone": "+4910", "from_": later}, 10_000, True),
        ({"from_": "2026-06-01T11:59:59Z"}, 10_000, False),
        ({"from_": "2026-06-01T12:30:00Z"}, number - 1800, True),
    ):
        _, said = partner.page(**query)
        assert (said["total"], said["totalIsExact"], said["total_pages"]) == (total, exact, -(-total // 10))
    by_phone = {"phone": "+4910", "sortOrder": "ASC"}
    _, said = partner.page(page=1000, **by_phone)
    last = [str(lead.id) for lead in stored[10_000:]]
    assert partner.ids(cursor=said["nextCursor"], **by_phone) == last
    assert partner.ids(page=1001, **by_phone) == last
    assert partner.ids(page=998, sortOrder="ASC") == [str(x.id) for x in stored[9970:9980]]


def test_more_than_100000_leads_are_not_sorted_by_name(sqlite_engine: Engine, keys: KeyRing) -> None:
    app = new_app("admin", sqlite_engine, keys)
    partner, admin = Reader(add_partner(sqlite_engine), app), Reader(add_admin(sqlite_engine), app)
    lead = make_lead(client_id=partner.id)
    store(sqlite_engine, lead)
    with writing(sqlite_engine).begin() as connection:
        ever = update(lead_counts).where(lead_counts.c.grain == "all")
        connection.execute(ever.values(leads=100_001))

    for sort_by in ("firstName", "lastName"):
        assert list(admin.ask(400, sortBy=sort_by)["errors"]) == ["sortBy"]
        assert list(partner.ask(400, sortBy=sort_by)["errors"]) == ["sortBy"]
        assert admin.ids(sortBy=sort_by, from_="2026-06-01", to="2026-06-02") == [str(lead.id)]
    assert partner.page(sortBy="email")[1]["total"] == 100_001

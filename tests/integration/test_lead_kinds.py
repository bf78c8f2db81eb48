"""Leads of each status, tests and others: together in one order, and one kind without reading the rest."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from admin_service.lead_filters import LeadFilter
from admin_service.lead_listing import Listing, read_page
from admin_service.lead_order import Order
from shared.keys import KeyRing
from shared.messages import Lead
from tests.factories import NOON, make_lead
from tests.integration.calling import add_admin, add_partner, new_app
from tests.integration.lists import ORDERS, SORTS, Reader, in_order, store

MANY = 400


def leads_of_every_kind(client_id: int) -> list[Lead]:
    """Of nine in a row the last repeats the email of the first, and two are tests."""
    return [
        make_lead(
            client_id=client_id,
            received_at=NOON + timedelta(seconds=n),
            test=n % 9 in (4, 5),
            firstName=f"Name {n % 5}",
            lastName=f"Name {n % 4}",
            email=f"{n // 9 * 9 if n % 9 == 8 else n}.{client_id}@example.com",
        )
        for n in range(27)
    ]


def is_of(lead: Lead, place: int, kind: dict[str, str]) -> bool:
    status = "duplicate" if place % 9 == 8 else "stored"
    test = "true" if place % 9 in (4, 5) else "false"
    return kind.get("status", status) == status and kind.get("test", test) == test


@pytest.mark.parametrize("sort_by", SORTS)
def test_each_kind_alone_and_all_together_are_listed_in_every_order(
    engine: Engine, keys: KeyRing, sort_by: str
) -> None:
    app = new_app("admin", engine, keys, rate_limit_per_minute=10**6)
    partner, admin = Reader(add_partner(engine), app), Reader(add_admin(engine), app)
    own, others = leads_of_every_kind(partner.id), leads_of_every_kind(partner.id + 1)
    store(engine, *own, *others)

    kinds: list[dict[str, str]] = [
        {},
        {"status": "stored"},
        {"status": "duplicate"},
        {"test": "true"},
        {"test": "false"},
        {"status": "stored", "test": "false"},
        {"status": "duplicate", "test": "true"},
    ]
    for kind, order in itertools.product(kinds, ORDERS):
        of_kind = [[lead for n, lead in enumerate(leads) if is_of(lead, n, kind)] for leads in (own, others)]
        for reader, found in ((partner, of_kind[0]), (admin, of_kind[0] + of_kind[1])):
            expected = in_order(found, sort_by, order)
            assert reader.walk(sortBy=sort_by, sortOrder=order, limit=7, **kind) == expected
            assert reader.leaf(sortBy=sort_by, sortOrder=order, limit=10, **kind) == expected


def rows_read(connection: Connection) -> int:
    """How many rows and entries of indexes the server has read for this connection."""
    status = connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
    return sum(int(row[1]) for row in status)


@pytest.mark.parametrize("sort_by", ["createdAt", "storedAt", "email"])
@pytest.mark.parametrize("client_id", [None, 7])
def test_a_few_leads_of_a_kind_are_found_without_reading_the_rest(
    mariadb_engine: Engine, sort_by: str, client_id: int | None
) -> None:
    many = [make_lead(client_id=7, received_at=NOON + timedelta(seconds=n)) for n in range(MANY)]
    few = [make_lead(client_id=7, received_at=NOON + timedelta(seconds=n), test=True) for n in (5, MANY - 5)]
    store(mariadb_engine, *many, *few)

    for more, descending in itertools.product(
        ({"test": True}, {"test": True, "status": "stored"}), (True, False)
    ):
        wanted = LeadFilter(client_id=client_id, **more)  # type: ignore[arg-type]
        with mariadb_engine.connect() as connection:
            before = rows_read(connection)
            page = read_page(connection, Listing(wanted, Order(sort_by, descending), 10))
            assert rows_read(connection) - before < MANY // 4
        assert {row.id for row in page.rows} == {lead.id for lead in few}

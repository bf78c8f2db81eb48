"""What a read costs in statements: as few for many leads as for some, and nothing is said twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, event, text

from admin_service import lead_listing
from shared.database import writing
from shared.keys import KeyRing
from shared.messages import Lead
from shared.reading import reading
from shared.times import format_time
from tests.factories import NOON, make_lead
from tests.integration.calling import Caller, Person, add_admin, new_app
from tests.integration.lists import store

DAYS, OF_A_DAY = 40, 30


@pytest.fixture
def app(engine: Engine, keys: KeyRing) -> Flask:
    return new_app("admin", engine, keys)


@pytest.fixture
def sent(engine: Engine, partner: Person) -> list[Lead]:
    """Leads of more days than are looked through one after the other; each third is another partner's."""
    leads = [
        make_lead(
            client_id=partner.id + (n % 3 == 0),
            received_at=NOON + timedelta(days=n // OF_A_DAY, seconds=n),
            email=f"{n}@example.com",
        )
        for n in range(DAYS * OF_A_DAY)
    ]
    store(engine, *leads)
    return leads


@pytest.fixture
def executed(engine: Engine) -> Iterator[list[str]]:
    """The statements, but for the one that begins a transaction on SQLite."""
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def statements_of(caller: Caller, executed: list[str], path: str) -> int:
    """How many statements it takes to answer the second time; the first time the users are read."""
    assert caller.get(path).status_code == 200
    executed.clear()
    answer = caller.get(path)
    assert answer.status_code == 200
    assert answer.json["data"].get("items", [{}]) != []
    return len(executed)


def test_each_read_takes_few_statements(
    engine: Engine,
    app: Flask,
    partner: Person,
    sent: list[Lead],
    executed: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lead_listing, "SKIPPED_BY_READING", 50)
    admin, own = add_admin(engine).calls(app), partner.calls(app)
    one = f"/api/leads/{sent[1].id}"
    begin, end = NOON + timedelta(days=1), NOON + timedelta(days=9)
    whole = f"from={format_time(begin)}&to={format_time(end)}"
    within = f"from={format_time(begin + timedelta(minutes=7))}&to={format_time(end - timedelta(minutes=7))}"
    near, far = 1 + 50 // 10, DAYS // 2 * OF_A_DAY // 10

    expected = {
        # the lead with the email of its client
        (admin, one): 1,
        (own, one): 1,
        # the total, and the leads with the emails of their clients
        (admin, "/api/leads"): 2,
        (own, "/api/leads"): 2,
        (admin, f"/api/leads?clientId={partner.id}"): 2,
        (admin, "/api/leads?email=7@example.com"): 2,
        # how many are too new for the feed, too
        (own, "/api/leads?sortBy=storedAt&sortOrder=ASC"): 3,
        # a day and an hour; far down also whose leads there are
        (admin, f"/api/leads?page={near}"): 4,
        (admin, f"/api/leads?page={far}"): 5,
        (own, f"/api/leads?page={far // 2}"): 4,
        # whose leads there are; the hours that are not whole are counted
        (admin, f"/api/leads?{whole}"): 3,
        (own, f"/api/leads?{whole}"): 2,
        (own, f"/api/leads?{within}"): 4,
    }
    for (caller, path), number in expected.items():
        assert statements_of(caller, executed, path) == number, (path, executed)


def test_a_quarantined_or_unknown_lead_takes_two_statements(
    engine: Engine, app: Flask, executed: list[str]
) -> None:
    admin = add_admin(engine).calls(app)
    unknown = "/api/leads/01a1fc6d-3478-7762-981d-793090695ac9"
    assert admin.get(unknown).status_code == 404
    executed.clear()

    assert admin.get(unknown).status_code == 404

    assert len(executed) == 2


@pytest.mark.parametrize("engine", ["mariadb", "mysql"], indirect=True)
def test_a_connection_that_has_read_writes_again_without_limit(engine: Engine) -> None:
    session = text(
        "SELECT connection_id(), variable_value FROM {}.session_variables WHERE lower(variable_name) IN "
        "('tx_isolation', 'tx_read_only', 'transaction_isolation', 'transaction_read_only', "
        "'max_statement_time', 'max_execution_time') ORDER BY variable_name".format(
            "information_schema" if engine.dialect.is_mariadb else "performance_schema"  # type: ignore[attr-defined]
        )
    )
    with engine.connect() as connection:
        fresh = connection.execute(session).all()

    for _ in range(2):
        with reading(engine).connect() as connection:
            assert connection.execute(session).all() != fresh
        with writing(engine).begin() as connection:
            assert connection.execute(session).all() == fresh
        store(engine, make_lead())

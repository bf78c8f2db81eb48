"""Several consumers write leads of the same emails at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, event, insert

from consumer.writer import WRITER_SESSION, NotWritten
from shared.database import open_database
from shared.messages import Batch
from shared.models import duplicate_keys, lead_batches, leads
from tests.factories import EMAIL_HASHES, NOON, make_batch, make_lead, make_writer
from tests.integration.stored import rows
from tests.integration.test_writer_races import all_at_once, in_takes, write_each

EMAIL = "ada@example.com"
WAIT_SECONDS = 20.0


@pytest.fixture
def engines(engine: Engine) -> Iterator[list[Engine]]:
    """Connections of two consumers."""
    url = engine.url.render_as_string(hide_password=False)
    engines = [open_database(url, session=WRITER_SESSION) for _ in range(2)]
    yield engines
    for own in engines:
        own.dispose()


def assert_one_first_each(engine: Engine, batches: list[Batch]) -> None:
    """Every lead is there once; of each email one is the first and the others are its duplicates."""
    found = rows(engine, leads)
    assert sorted(row.id for row in found) == sorted(lead.id for batch in batches for lead in batch.leads)
    firsts = {row.email: row.id for row in found if row.status == "stored"}
    assert len(firsts) == sum(row.status == "stored" for row in found)
    assert {row.email for row in found} == set(firsts)
    assert all(row.duplicate_of == firsts[row.email] for row in found if row.status == "duplicate")
    assert {row.lead_id for row in rows(engine, duplicate_keys)} == set(firsts.values())
    receipts = rows(engine, lead_batches)
    assert sum(receipt.stored for receipt in receipts) == len(firsts)
    assert sum(receipt.duplicate for receipt in receipts) == len(found) - len(firsts)


def test_of_leads_that_two_consumers_write_one_is_the_first(engine: Engine, engines: list[Engine]) -> None:
    emails = [f"{number}@example.com" for number in range(20)]
    shares = [
        [make_batch([make_lead(email=email) for email in reversed(emails)]) for _ in range(20)],
        [make_batch([make_lead(email=email) for email in emails]) for _ in range(20)],
    ]
    writers = [make_writer(own) for own in engines]

    all_at_once(
        *(partial(write_each, writer, in_takes(share)) for writer, share in zip(writers, shares, strict=True))
    )

    assert_one_first_each(engine, [batch for share in shares for batch in share])


def test_who_comes_second_waits_for_the_first_to_commit_and_sees_its_lead(
    engine: Engine, engines: list[Engine]
) -> None:
    first, second = (make_batch([make_lead(email=EMAIL)]) for _ in range(2))
    at_the_end, at_the_lock = threading.Event(), threading.Event()

    def hold(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO lead_counts"):
            at_the_end.set()
            assert at_the_lock.wait(WAIT_SECONDS)

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(("INSERT INTO duplicate_keys", "BEGIN IMMEDIATE")):
            at_the_lock.set()

    event.listen(engines[0], "before_cursor_execute", hold)
    event.listen(engines[1], "before_cursor_execute", note)
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(make_writer(engines[0]).write, [(first, 0)])
        assert at_the_end.wait(WAIT_SECONDS)
        other = pool.submit(write_each, make_writer(engines[1]), [[second]])
        one.result(WAIT_SECONDS)
        other.result(WAIT_SECONDS)

    by_id = {row.id: row.duplicate_of for row in rows(engine, leads)}
    assert by_id == {first.leads[0].id: None, second.leads[0].id: first.leads[0].id}


@pytest.mark.parametrize("engine", ["mariadb", "mysql"], indirect=True)
def test_who_would_wait_for_long_comes_back_later(engine: Engine, engines: list[Engine]) -> None:
    batch = make_batch([make_lead(email=EMAIL)])
    writer = make_writer(engines[0])
    with engine.connect() as other:
        first = {"client_id": 1, "email_hash": EMAIL_HASHES(EMAIL), "lead_id": uuid4(), "received_at": NOON}
        other.execute(insert(duplicate_keys).values(**first))
        with pytest.raises(NotWritten, match="1205"):  # MySQL's number for a wait that took too long
            writer.write([(batch, 0)])
        other.rollback()

    writer.write([(batch, 1)])

    (row,) = rows(engine, leads)
    assert (row.id, row.status) == (batch.leads[0].id, "stored")

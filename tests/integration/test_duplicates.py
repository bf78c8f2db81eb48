"""The later lead of a partner and email is marked as a duplicate of the first (contract, section 4)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

from shared.messages import Lead
from shared.models import duplicate_keys, lead_batches, lead_counts, leads
from tests.factories import NOON, make_batch, make_lead, make_writer
from tests.integration.stored import counted, number_of, rows

WINDOW = timedelta(days=30)
MICROSECOND = timedelta(microseconds=1)
EMAIL = "ada@example.com"


def lead(
    after: timedelta = timedelta(), email: str = EMAIL, client_id: int = 1, test: bool | None = None
) -> Lead:
    """A lead that was received so long after noon."""
    return make_lead(client_id=client_id, received_at=NOON + after, email=email, test=test)


def write_each(engine: Engine, *leads: Lead, window_days: int = 30) -> None:
    """Each in a batch and a transaction of its own."""
    writer = make_writer(engine, window_days=window_days)
    for one in leads:
        writer.write([(make_batch([one]), 0)])


def duplicates_of(engine: Engine) -> dict[UUID, UUID | None]:
    """Every stored lead, and what it is a duplicate of."""
    found = rows(engine, leads)
    assert {row.status for row in found if row.duplicate_of} <= {"duplicate"}
    assert {row.status for row in found if not row.duplicate_of} <= {"stored"}
    return {row.id: row.duplicate_of for row in found}


def test_the_later_lead_of_an_email_is_a_duplicate_of_the_first(engine: Engine) -> None:
    first, second, third = lead(), lead(MICROSECOND), lead(2 * MICROSECOND)

    write_each(engine, first, second, third)

    assert duplicates_of(engine) == {first.id: None, second.id: first.id, third.id: first.id}


def test_receipts_and_counts_tell_duplicates_from_others(engine: Engine) -> None:
    batch = make_batch([lead(), lead(MICROSECOND), lead(email="other@example.com"), make_lead(email=None)])

    make_writer(engine).write([(batch, 0)])

    (receipt,) = rows(engine, lead_batches)
    assert (receipt.leads, receipt.stored, receipt.duplicate, receipt.quarantined) == (4, 2, 1, 1)
    assert {row.status: row.leads for row in rows(engine, lead_counts) if row.grain == "all"} == {
        "stored": 2,
        "duplicate": 1,
        "quarantined": 1,
    }
    assert counted(engine, "duplicate", "minute") == 1


def test_within_a_batch_the_order_of_the_batch_counts(engine: Engine) -> None:
    batch = make_batch([lead(-moment * MICROSECOND) for moment in range(3)])

    make_writer(engine).write([(batch, 0)])

    first, second, third = (one.id for one in batch.leads)
    assert duplicates_of(engine) == {first: None, second: first, third: first}


def test_within_a_take_the_order_of_the_batches_counts(engine: Engine) -> None:
    batches = [make_batch([lead()]) for _ in range(10)]

    make_writer(engine).write([(batch, 0) for batch in batches])

    first = batches[0].leads[0].id
    found = duplicates_of(engine)
    assert found.pop(first) is None
    assert set(found.values()) == {first}


@pytest.mark.parametrize("email", ["ADA@Example.COM", "ａｄａ@example.com", "ada@EXAMPLE.com"])
def test_an_email_is_the_same_however_it_is_written(engine: Engine, email: str) -> None:
    first, second = lead(), lead(MICROSECOND, email)

    write_each(engine, first, second)

    assert duplicates_of(engine)[second.id] == first.id


def test_accents_and_the_partner_make_a_difference(engine: Engine) -> None:
    different = [lead(), lead(email="ädà@example.com"), lead(client_id=2)]

    write_each(engine, *different)

    assert duplicates_of(engine) == {one.id: None for one in different}


@pytest.mark.parametrize(
    ("after", "is_duplicate"),
    [(WINDOW - MICROSECOND, True), (WINDOW, False), (-WINDOW + MICROSECOND, True), (-WINDOW, False)],
)
def test_only_a_lead_within_the_window_is_a_duplicate(
    engine: Engine, after: timedelta, is_duplicate: bool
) -> None:
    first, other = lead(), lead(after)

    write_each(engine, first, other)

    assert duplicates_of(engine)[other.id] == (first.id if is_duplicate else None)


def test_a_duplicate_does_not_extend_the_window(engine: Engine) -> None:
    first, duplicate, anew = lead(), lead(WINDOW - MICROSECOND), lead(WINDOW)

    write_each(engine, first, duplicate, anew)

    assert duplicates_of(engine) == {first.id: None, duplicate.id: first.id, anew.id: None}


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_after_the_window_the_new_lead_is_the_first(engine: Engine, together: bool) -> None:
    first, anew, again = lead(), lead(WINDOW), lead(2 * WINDOW - MICROSECOND)

    if together:
        make_writer(engine).write([(make_batch([first, anew, again]), 0)])
    else:
        write_each(engine, first, anew, again)

    assert duplicates_of(engine) == {first.id: None, anew.id: None, again.id: anew.id}


def test_a_lead_from_long_before_does_not_become_the_first(engine: Engine) -> None:
    first, long_before, later = lead(), lead(-WINDOW), lead(MICROSECOND)

    write_each(engine, first, long_before, later)

    assert duplicates_of(engine) == {first.id: None, long_before.id: None, later.id: first.id}


def test_test_leads_neither_make_nor_are_duplicates(engine: Engine) -> None:
    tested, first, tested_again, second = lead(test=True), lead(), lead(test=True), lead(test=False)

    write_each(engine, tested, first, tested_again, second)

    assert duplicates_of(engine) == {
        tested.id: None,
        first.id: None,
        tested_again.id: None,
        second.id: first.id,
    }


def test_a_batch_that_comes_again_changes_nothing(engine: Engine) -> None:
    batch = make_batch([lead(), lead(MICROSECOND)])
    writer = make_writer(engine)
    writer.write([(batch, 0)])
    before = [rows(engine, table) for table in (leads, lead_batches, lead_counts, duplicate_keys)]

    writer.write([(batch, 1), (batch, 2)])

    assert [rows(engine, table) for table in (leads, lead_batches, lead_counts, duplicate_keys)] == before


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize("bad", [{"dateOfBirth": "never"}, {"provinceCode": "ABCDE"}], ids=["ours", "theirs"])
@pytest.mark.parametrize("engine", ["mariadb", "mysql"], indirect=True)
def test_a_lead_that_was_quarantined_is_not_the_first(
    engine: Engine, bad: dict[str, str], together: bool
) -> None:
    refused = make_lead(received_at=NOON, email=EMAIL, **bad)
    first, second = lead(MICROSECOND), lead(2 * MICROSECOND)

    if together:
        make_writer(engine).write([(make_batch([refused, first, second]), 0)])
    else:
        write_each(engine, refused, first, second)

    assert duplicates_of(engine) == {first.id: None, second.id: first.id}
    assert sum(row.quarantined for row in rows(engine, lead_batches)) == 1


def test_a_window_of_zero_days_marks_nothing(engine: Engine) -> None:
    both = [lead(), lead(MICROSECOND)]

    write_each(engine, *both, window_days=0)

    assert duplicates_of(engine) == {one.id: None for one in both}
    assert number_of(engine, duplicate_keys) == 0


def test_no_email_stands_where_duplicates_are_found(engine: Engine) -> None:
    write_each(engine, lead())

    (row,) = rows(engine, duplicate_keys)
    assert (row.client_id, row.received_at) == (1, NOON)
    assert len(row.email_hash) == 32
    assert EMAIL.encode() not in bytes(row.email_hash)

"""Old receipts become ranges, old minutes and keys of duplicates go, and nothing that is told or decided
changes by that."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from consumer.maintenance import COMPACT_AFTER, LATE, Maintenance
from shared.models import duplicate_keys, lead_batches, lead_counts, leads
from tests.factories import NOON, make_batch, make_lead, make_writer
from tests.integration.reconciled import Past, reconciled
from tests.integration.stored import number_of, rows
from tests.waiting import wait_until

WINDOW = timedelta(days=30)
MICROSECOND = timedelta(microseconds=1)
LATER = NOON + COMPACT_AFTER + timedelta(minutes=1)


def compact(engine: Engine) -> int:
    """A quarter of an hour after noon; how many receipts are gone."""
    return Maintenance(engine, WINDOW, lambda: LATER).compact_receipts()


def ranges(engine: Engine) -> list[tuple[int, int, bool, int]]:
    """First number, last number, void and leads of every receipt."""
    return [(row.sequence, row.last_sequence, row.void, row.leads) for row in rows(engine, lead_batches)]


def told(engine: Engine) -> dict[str, Any]:
    data = reconciled(engine, seconds=3600)
    return {
        name: data[name] for name in ("missing", "inconsistent", "accepted", "settled", "givenUp", "items")
    }


def test_receipts_that_follow_each_other_become_one(engine: Engine) -> None:
    past = Past(engine, size=2)
    past.writes(1, 2, 3, 4)
    past.write(past.checkpoint(4))
    before = told(engine)

    assert compact(engine) == 3

    assert ranges(engine) == [(1, 4, False, 8)]
    assert told(engine) == before


def test_gaps_and_voids_stay_what_they_are(engine: Engine) -> None:
    past = Past(engine, size=1)
    past.writes(1, 2, 4, 5)
    past.write(past.batch(9, voids=(6, 7, 8), given_up=3), past.batch(10, given_up=3))
    past.write(past.checkpoint(10, given_up=3))
    before = told(engine)

    compact(engine)

    assert ranges(engine) == [(1, 2, False, 2), (4, 5, False, 2), (6, 8, True, 0), (9, 10, False, 2)]
    assert told(engine) == before
    assert before["missing"] == 1


def test_what_is_new_or_not_settled_is_left_alone(engine: Engine) -> None:
    past = Past(engine, size=1)
    past.writes(1, 2)
    past.write(past.batch(3), past.batch(4), at=timedelta(minutes=5))

    compact(engine)
    assert ranges(engine) == [(1, 2, False, 2), (3, 3, False, 1), (4, 4, False, 1)]

    Maintenance(engine, WINDOW, lambda: LATER + timedelta(minutes=5)).compact_receipts()
    assert ranges(engine) == [(1, 3, False, 3), (4, 4, False, 1)]


def test_ranges_grow_with_what_comes_after(engine: Engine) -> None:
    past = Past(engine, size=1)
    past.writes(1, 2, 3)
    compact(engine)
    past.writes(4, 5)

    compact(engine)

    assert ranges(engine) == [(1, 4, False, 4), (5, 5, False, 1)]


def test_a_batch_that_comes_again_finds_its_receipt_in_the_range(engine: Engine) -> None:
    past = Past(engine, size=1)
    batches = [past.batch(number) for number in range(1, 6)]
    past.write(*batches)
    compact(engine)
    before = ranges(engine)

    past.write(*batches)

    assert ranges(engine) == before


def test_a_range_may_be_longer_than_one_step(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.maintenance.STEP_ROWS", 4)
    past = Past(sqlite_engine, size=1)
    past.writes(*range(1, 12), *range(13, 20, 2), *range(20, 26))
    past.write(past.checkpoint(25))

    compact(sqlite_engine)

    assert ranges(sqlite_engine) == [
        (1, 11, False, 11),
        *((number, number, False, 1) for number in (13, 15, 17)),
        (19, 25, False, 7),
    ]


def test_two_consumers_at_once_count_nothing_twice(engine: Engine) -> None:
    past = Past(engine, size=1)
    make_writer(engine, lambda: NOON).write([(past.batch(number), 0) for number in range(1, 60)])

    with ThreadPoolExecutor(4) as threads:
        gone = sum(threads.map(lambda _: compact(engine), range(8)))

    assert gone == 57
    assert ranges(engine) == [(1, 58, False, 58), (59, 59, False, 1)]


def test_minutes_older_than_two_days_go_and_longer_buckets_stay(engine: Engine) -> None:
    moments = [NOON - timedelta(hours=hours) for hours in (0, 47, 49, 100)]
    make_writer(engine).write([(make_batch([make_lead(received_at=moment) for moment in moments]), 0)])

    assert Maintenance(engine, WINDOW, lambda: NOON).expire_minutes() == 2

    kept = [(row.grain, row.bucket) for row in rows(engine, lead_counts)]
    assert [bucket for grain, bucket in kept if grain == "minute"] == [moments[1], moments[0]]
    assert len([bucket for grain, bucket in kept if grain == "hour"]) == 4


def write_at(engine: Engine, *moments: timedelta, email: str = "ada@example.com", client_id: int = 1) -> None:
    """A lead of that email for each of `moments`, which are so long after noon, in batches of their own."""
    for moment in moments:
        lead = make_lead(client_id=client_id, email=email, received_at=NOON + moment)
        make_writer(engine).write([(make_batch([lead]), 0)])


def expire_keys(engine: Engine, at: timedelta = WINDOW + LATE) -> int:
    """So long after noon; how many keys of duplicates are gone."""
    return Maintenance(engine, WINDOW, lambda: NOON + at).expire_duplicate_keys()


def decided(engine: Engine) -> list[str]:
    """The status of every lead, in order of receipt."""
    return [row.status for row in sorted(rows(engine, leads), key=lambda row: row.received_at)]


def test_a_key_goes_some_days_after_its_window(engine: Engine) -> None:
    write_at(engine, timedelta())

    assert expire_keys(engine) == 0
    assert expire_keys(engine, WINDOW + LATE + MICROSECOND) == 1
    assert number_of(engine, duplicate_keys) == 0


def test_a_key_within_the_window_stays_and_still_makes_duplicates(engine: Engine) -> None:
    write_at(engine, timedelta(), email="old@example.com")
    write_at(engine, 2 * LATE)

    assert expire_keys(engine, WINDOW + 2 * LATE) == 1

    write_at(engine, WINDOW + 2 * LATE - MICROSECOND)
    assert decided(engine) == ["stored", "stored", "duplicate"]


def test_a_key_that_a_new_lead_has_taken_over_stays(engine: Engine) -> None:
    write_at(engine, timedelta(), WINDOW)

    assert expire_keys(engine, WINDOW + LATE + MICROSECOND) == 0

    write_at(engine, 2 * WINDOW - MICROSECOND)
    assert decided(engine) == ["stored", "stored", "duplicate"]


@pytest.mark.parametrize("is_expired", [True, False])
@pytest.mark.parametrize("engine", ["sqlite", "mariadb"], indirect=True)
def test_what_is_decided_is_the_same_without_the_keys_that_are_gone(engine: Engine, is_expired: bool) -> None:
    write_at(engine, timedelta(), WINDOW - MICROSECOND)
    if is_expired:
        assert expire_keys(engine, WINDOW + LATE + MICROSECOND) == 1

    write_at(engine, WINDOW + LATE, WINDOW + LATE + MICROSECOND, 2 * WINDOW + LATE)

    assert decided(engine) == ["stored", "duplicate", "stored", "duplicate", "stored"]


def test_more_keys_than_one_step_of_many_partners_go(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.maintenance.STEP_ROWS", 4)
    for client_id in (2, 1, 3):
        many = [make_lead(client_id=client_id, email=f"{n}@example.com", received_at=NOON) for n in range(5)]
        make_writer(engine).write([(make_batch(many), 0)])
    write_at(engine, timedelta(days=1), client_id=2)

    assert expire_keys(engine, WINDOW + LATE + MICROSECOND) == 15

    (kept,) = rows(engine, duplicate_keys)
    assert kept.client_id == 2


def test_consumers_that_expire_at_once_remove_each_key_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.maintenance.STEP_ROWS", 10)
    old = [make_lead(client_id=n % 3 + 1, email=f"{n}@example.com", received_at=NOON) for n in range(60)]
    make_writer(engine).write([(make_batch(old), 0)])

    with ThreadPoolExecutor(4) as threads:
        gone = sum(threads.map(lambda _: expire_keys(engine, 2 * WINDOW), range(8)))

    assert gone == 60
    assert number_of(engine, duplicate_keys) == 0


def test_it_goes_on_by_itself_until_it_is_stopped(sqlite_engine: Engine) -> None:
    maintenance = Maintenance(sqlite_engine, WINDOW, lambda: LATER, every_seconds=0.01)
    maintenance.start()
    try:
        for first in (1, 11):
            past = Past(sqlite_engine, size=1)
            past.writes(*range(first, first + 5))
            past.write(past.checkpoint(first + 4))
        wait_until(lambda: number_of(sqlite_engine, lead_batches) == 2, "both are compacted")
    finally:
        maintenance.stop()

"""What is accepted, settled, pending and missing, on each database."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine, insert, update

from shared.database import writing
from shared.keys import KeyRing
from shared.models import lead_batches
from shared.queues import Depth, QueueUnavailable
from tests.factories import NOON
from tests.integration.calling import add_admin, add_partner, is_error, new_app
from tests.integration.reconciled import Past, gaps, reconciled

PATH = "/admin/api/reconciliation"


def test_nothing_is_missing_where_nothing_was_ever_accepted(engine: Engine) -> None:
    data = reconciled(engine)

    assert (data["missing"], data["pending"], data["inconsistent"]) == (0, 0, 0)
    assert data["accepted"] == {"batches": 0, "leads": 0}
    assert data["items"] == []
    assert data["pagination"]["total"] == 0


def test_what_was_accepted_is_settled(engine: Engine) -> None:
    past = Past(engine, size=3)
    past.writes(1, 2, 3)
    past.write(past.checkpoint(3))

    data = reconciled(engine)

    outcomes = {"stored": 9, "duplicate": 0, "quarantined": 0, "erased": 0, "repeated": 0}
    assert (data["missing"], data["pending"], data["inconsistent"]) == (0, 0, 0)
    assert data["accepted"] == {"batches": 3, "leads": 9}
    assert data["settled"] == {"batches": 3, "leads": 9} | outcomes
    (item,) = data["items"]
    assert item["producerId"] == past.id
    assert (item["settledThrough"], item["settledLeads"]) == (3, 9)
    assert item["settled"] == data["settled"]
    assert (item["missing"], item["pending"], item["gaps"]) == (0, 0, [])


def test_the_last_message_counts_as_accepted_before_it_is_announced(engine: Engine) -> None:
    past = Past(engine, size=3)
    past.writes(1, 2)

    (item,) = reconciled(engine)["items"]

    assert item["settledThrough"] == 1
    assert item["accepted"] == {"batches": 2, "leads": 6}


def test_a_message_that_is_gone_is_missing_with_its_producer_and_number(engine: Engine) -> None:
    past = Past(engine)
    past.writes(1, 3)

    data = reconciled(engine)

    assert (data["missing"], data["pending"]) == (1, 0)
    (item,) = data["items"]
    assert (item["producerId"], item["missing"], gaps(item)) == (past.id, 1, [(2, 2)])
    assert item["accepted"] == {"batches": 3, "leads": 6}
    assert item["settled"]["leads"] == 4


def test_messages_are_missing_from_the_beginning_the_middle_and_the_end(engine: Engine) -> None:
    past = Past(engine)
    past.writes(3, 4, 7)
    past.write(past.checkpoint(9))

    data = reconciled(engine)

    assert data["missing"] == 6
    assert gaps(data["items"][0]) == [(1, 2), (5, 6), (8, 9)]


def test_a_producer_of_which_nothing_but_a_checkpoint_has_come_misses_everything(engine: Engine) -> None:
    past = Past(engine)
    past.write(past.checkpoint(4))

    data = reconciled(engine)

    assert data["missing"] == 4
    assert gaps(data["items"][0]) == [(1, 4)]


@pytest.mark.parametrize("depth", [Depth(1, 0), Depth(0, 1), QueueUnavailable("RabbitMQ is gone")])
def test_nothing_is_missing_while_it_may_be_in_a_queue(
    engine: Engine, depth: Depth | QueueUnavailable
) -> None:
    past = Past(engine)
    past.writes(1, 3)

    data = reconciled(engine, seconds=3600, depth=depth)

    assert (data["missing"], data["pending"]) == (0, 1)
    assert (data["items"][0]["pending"], gaps(data["items"][0])) == (1, [(2, 2)])


@pytest.mark.parametrize("last", ["a message", "a checkpoint"])
def test_nothing_is_missing_before_sixty_seconds_have_passed(engine: Engine, last: str) -> None:
    past = Past(engine)
    past.writes(1)
    past.write(past.batch(3) if last == "a message" else past.checkpoint(2), at=timedelta(seconds=10))

    early, late = (reconciled(engine, seconds=seconds) for seconds in (69.9, 70))

    assert (early["missing"], early["pending"]) == (0, 1)
    assert (late["missing"], late["pending"]) == (1, 0)


def test_a_producer_that_goes_on_does_not_keep_what_it_lost_pending(engine: Engine) -> None:
    past = Past(engine)
    past.writes(1, 3)
    past.write(past.batch(4), at=timedelta(seconds=60))

    assert reconciled(engine)["missing"] == 1


def test_what_waits_in_the_queue_is_pending(engine: Engine) -> None:
    data = reconciled(engine, depth=Depth(3, 2))

    assert (data["pending"], data["queue"]) == (5, {"waiting": 3, "dead": 2, "fault": None})


def test_why_nobody_can_tell_what_waits_is_said(engine: Engine) -> None:
    data = reconciled(engine, depth=QueueUnavailable("RabbitMQ is gone"))

    assert data["queue"] == {"waiting": None, "dead": None, "fault": "RabbitMQ is gone"}


def test_a_batch_that_was_given_up_is_not_missing(engine: Engine) -> None:
    past = Past(engine)
    past.writes(1)
    past.write(past.batch(4, voids=(2, 3), given_up=2))

    data = reconciled(engine)

    assert (data["missing"], data["inconsistent"], data["givenUp"]) == (0, 0, 2)
    assert data["accepted"] == {"batches": 2, "leads": 4}


def test_a_batch_that_was_given_up_and_stored_all_the_same_is_no_fault(engine: Engine) -> None:
    past = Past(engine)
    past.writes(1, 2)
    past.write(past.batch(3, voids=(2,), given_up=1))

    data = reconciled(engine)

    assert (data["missing"], data["pending"], data["inconsistent"], data["givenUp"]) == (0, 0, 0, 0)
    assert data["settled"]["leads"] == 6


def test_leads_that_lack_though_no_number_does_are_told(engine: Engine) -> None:
    past = Past(engine, size=2)
    past.writes(1)
    past.size = 3  # now it says that there were three in each
    past.write(past.checkpoint(1))

    data = reconciled(engine)

    assert (data["missing"], data["inconsistent"]) == (0, 1)
    assert data["items"][0]["isConsistent"] is False


def test_a_receipt_that_does_not_add_up_is_told(engine: Engine) -> None:
    past = Past(engine)
    past.writes(1, 2)
    with writing(engine).begin() as connection:
        connection.execute(update(lead_batches).where(lead_batches.c.sequence == 1).values(stored=1))

    assert reconciled(engine)["inconsistent"] == 1


def add_receipt(engine: Engine, producer_id: UUID, first: int, last: int) -> None:
    """A receipt of many numbers, as compaction leaves it."""
    count = 2 * (last - first + 1)
    with writing(engine).begin() as connection:
        connection.execute(
            insert(lead_batches).values(
                producer_id=producer_id,
                sequence=first,
                last_sequence=last,
                void=False,
                leads=count,
                stored=count,
                duplicate=0,
                quarantined=0,
                erased=0,
                stored_at=NOON,
            )
        )


def test_one_receipt_may_stand_for_many_numbers(engine: Engine) -> None:
    past = Past(engine)
    add_receipt(engine, past.id, 1, 500)
    add_receipt(engine, past.id, 502, 1000)
    past.write(past.batch(1001))

    data = reconciled(engine)

    assert (data["missing"], data["accepted"]) == (1, {"batches": 1001, "leads": 2002})
    assert gaps(data["items"][0]) == [(501, 501)]


def test_producers_with_something_wrong_come_first_and_the_sums_are_of_all(engine: Engine) -> None:
    complete = [Past(engine) for _ in range(4)]
    for seconds, past in enumerate(complete):
        past.write(past.batch(1), past.checkpoint(1), at=timedelta(seconds=seconds))
    broken = Past(engine)
    broken.writes(2)

    first, second, third = (reconciled(engine, page=page, limit=2) for page in (1, 2, 3))

    seen = [item["producerId"] for data in (first, second, third) for item in data["items"]]
    assert seen == [broken.id, *(past.id for past in reversed(complete))]
    assert first["pagination"] | {"total": 5, "total_pages": 3} == first["pagination"]
    for data in (first, second, third):
        assert (data["missing"], data["accepted"]["batches"]) == (1, 6)


def test_of_many_gaps_the_first_hundred_are_shown_and_all_are_counted(sqlite_engine: Engine) -> None:
    past = Past(sqlite_engine, size=1)
    past.writes(*range(2, 260, 2))

    data = reconciled(sqlite_engine)

    assert data["missing"] == data["items"][0]["missing"] == 129
    assert gaps(data["items"][0]) == [(number, number) for number in range(1, 200, 2)]


@pytest.fixture
def app(sqlite_engine: Engine, keys: KeyRing) -> Flask:
    """The admin service, with nothing in the queue."""
    return new_app("admin", sqlite_engine, keys, ask_depth=lambda: Depth(0, 0))


def test_an_admin_is_told_over_http(app: Flask, sqlite_engine: Engine) -> None:
    past = Past(sqlite_engine)
    past.writes(1, 3)

    answer = add_admin(sqlite_engine).calls(app).get(PATH)

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "private, no-cache"
    data = answer.json["data"]
    assert data["missing"] == 1
    assert [(item["producerId"], gaps(item)) for item in data["items"]] == [(str(past.id), [(2, 2)])]


def test_a_partner_is_told_nothing(app: Flask, sqlite_engine: Engine) -> None:
    answer = add_partner(sqlite_engine).calls(app).get(PATH)

    assert is_error(answer, 403, "Access denied")


def test_a_wrong_parameter_is_named(app: Flask, sqlite_engine: Engine) -> None:
    answer = add_admin(sqlite_engine).calls(app).get(f"{PATH}?limit=1000&producer=x")

    assert is_error(answer, 400, "Validation failed")
    assert set(answer.json["errors"]) == {"limit", "producer"}

"""Several consumers write leads of the same idempotency keys at the same time."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Engine

from consumer.writer import Writer
from shared.models import idempotency_keys, lead_batches, leads, quarantined_leads
from tests.factories import make_batch, make_keyed_lead, sent_again
from tests.integration.stored import counted, number_of, rows
from tests.integration.test_writer_races import all_at_once, in_takes, write_each, writers

__all__ = ["writers"]
KEYS = 20


def test_of_leads_that_two_consumers_write_one_is_stored(engine: Engine, writers: list[Writer]) -> None:
    known = [make_keyed_lead(str(number)) for number in range(KEYS)]
    shares = [
        [make_batch([sent_again(lead) for lead in order]) for _ in range(15)]
        for order in (known, known[::-1])
    ]

    all_at_once(
        *(partial(write_each, writer, in_takes(share)) for writer, share in zip(writers, shares, strict=True))
    )

    assert sorted(row.id for row in rows(engine, leads)) == sorted(lead.id for lead in known)
    assert counted(engine) == KEYS
    receipts = rows(engine, lead_batches)
    assert sum(receipt.stored for receipt in receipts) == KEYS
    assert sum(receipt.repeated for receipt in receipts) == 29 * KEYS
    assert number_of(engine, quarantined_leads) == 0


def test_of_two_contents_that_race_one_is_stored_and_the_other_parked(
    engine: Engine, writers: list[Writer]
) -> None:
    known = [make_keyed_lead(str(number)) for number in range(KEYS)]
    shares = [[make_batch([sent_again(lead, city=city)]) for lead in known] for city in ("Bonn", "Köln")]

    all_at_once(
        *(partial(write_each, writer, in_takes(share)) for writer, share in zip(writers, shares, strict=True))
    )

    stored = {row.id: row.city for row in rows(engine, leads)}
    parked = {row.lead_id: row.payload for row in rows(engine, quarantined_leads)}
    assert set(stored) == set(parked) == {lead.id for lead in known}
    assert all(stored[id].encode() not in parked[id] for id in stored)
    assert number_of(engine, idempotency_keys) == KEYS
    assert (counted(engine), counted(engine, "quarantined")) == (KEYS, KEYS)

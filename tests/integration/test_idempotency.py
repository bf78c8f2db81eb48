"""What is sent again under its idempotency key is stored once; other content under that key is parked."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from shared.messages import Lead
from shared.models import duplicate_keys, idempotency_keys, lead_batches, leads, quarantined_leads
from tests.factories import make_batch, make_keyed_lead, make_lead, make_writer, sent_again
from tests.integration.stored import counted, number_of, rows, stored_ids


def write(engine: Engine, *takes: list[Lead]) -> None:
    """Each take in a batch and a transaction of its own."""
    writer = make_writer(engine)
    for take in takes:
        writer.write([(make_batch(take), 0)])


def outcomes(engine: Engine) -> Counter[str]:
    """What the receipts say together; none contradicts itself."""
    found: Counter[str] = Counter()
    for receipt in rows(engine, lead_batches):
        parts = {
            name: receipt._mapping[name]
            for name in ("stored", "duplicate", "quarantined", "erased", "repeated")
        }
        assert receipt.leads == sum(parts.values())
        found.update(parts)
    return +found


def assert_stored_as(engine: Engine, first: Lead, **numbers: int) -> None:
    """`first` and nothing else is stored, as it was sent then, and the receipts say `numbers`."""
    (row,) = rows(engine, leads)
    assert (row.id, row.received_at, row.email) == (first.id, first.received_at, first.content["email"])
    assert (row.status, row.duplicate_of) == ("stored", None)
    assert outcomes(engine) == numbers
    assert (counted(engine), counted(engine, "duplicate")) == (1, 0)
    assert counted(engine, "quarantined") == numbers.get("quarantined", 0)


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "in batches of their own"])
def test_a_lead_that_is_sent_again_is_stored_once(engine: Engine, together: bool) -> None:
    first = make_keyed_lead("a")
    sent = [first, sent_again(first), sent_again(first)]

    write(engine, *([sent] if together else ([lead] for lead in sent)))

    assert_stored_as(engine, first, stored=1, repeated=2)
    assert number_of(engine, quarantined_leads) == 0
    (key,) = rows(engine, idempotency_keys)
    assert (key.client_id, key.lead_id, key.received_at) == (1, first.id, first.received_at)


def test_a_message_that_comes_again_is_no_repeat_of_itself(engine: Engine) -> None:
    first = make_keyed_lead("a")
    batch, again = make_batch([first]), make_batch([sent_again(first)])
    writer = make_writer(engine)

    writer.write([(batch, 0), (again, 0), (batch, 1)])
    writer.write([(again, 1), (batch, 2)])

    assert_stored_as(engine, first, stored=1, repeated=1)


def test_whichever_arrives_first_is_the_first(engine: Engine) -> None:
    sent_first = make_keyed_lead("a")
    sent_later = sent_again(sent_first)

    write(engine, [sent_later], [sent_first])

    assert_stored_as(engine, sent_later, stored=1, repeated=1)


def test_what_was_given_up_and_stored_all_the_same_is_not_stored_again(engine: Engine) -> None:
    producer_id, first = uuid4(), make_keyed_lead("a")
    given_up = make_batch([first], producer_id=producer_id, sequence=1)
    retried = make_batch([sent_again(first)], producer_id=producer_id, sequence=2, voids=(1,))
    writer = make_writer(engine)

    writer.write([(given_up, 0)])
    writer.write([(retried, 0)])

    assert_stored_as(engine, first, stored=1, repeated=1)


def test_the_same_key_of_two_partners_is_two_keys(engine: Engine) -> None:
    mine, theirs = (make_keyed_lead("a", client_id=id) for id in (1, 2))

    write(engine, [mine], [theirs])

    assert sorted(stored_ids(engine)) == sorted([mine.id, theirs.id])
    assert outcomes(engine) == {"stored": 2}


def test_a_repeat_does_not_make_the_email_a_duplicate_of_itself(engine: Engine) -> None:
    first = make_keyed_lead("a")
    other = make_keyed_lead("b", email=first.content["email"])

    write(engine, [first, sent_again(first)], [other, sent_again(other)], [sent_again(first)])

    assert {row.id: row.duplicate_of for row in rows(engine, leads)} == {first.id: None, other.id: first.id}
    assert outcomes(engine) == {"stored": 1, "duplicate": 1, "repeated": 3}
    assert number_of(engine, duplicate_keys) == 1


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "in batches of their own"])
def test_other_content_under_the_same_key_is_parked_and_changes_nothing(
    engine: Engine, together: bool
) -> None:
    first = make_keyed_lead("a", city="Bonn")
    secret = "somebody.else@example.com"
    other = sent_again(first, email=secret, additionalData={"source": "elsewhere"})

    write(engine, *([[first, other]] if together else [[first], [other]]))

    assert_stored_as(engine, first, stored=1, quarantined=1)
    (parked,) = rows(engine, quarantined_leads)
    assert (parked.reason, parked.lead_id, parked.client_id) == ("idempotency_conflict", first.id, 1)
    assert parked.detail.endswith("in email, additionalData")
    assert secret.encode() in parked.payload
    assert secret not in parked.detail


def test_each_repeat_is_compared_with_the_first(engine: Engine) -> None:
    first = make_keyed_lead("a")
    other = sent_again(first, lastName="Else")

    write(engine, [first], [other, sent_again(first)], [sent_again(other)], [sent_again(first)])

    assert_stored_as(engine, first, stored=1, repeated=2, quarantined=2)


def test_what_says_the_same_in_other_words_is_the_same(engine: Engine) -> None:
    first = make_keyed_lead("a", additionalData={"a": 1, "b": {"c": 2, "d": [3]}}, city="Bonn")
    backwards = dict(reversed(first.content.items())) | {
        "additionalData": {"b": {"d": [3], "c": 2}, "a": 1},
        "test": False,
    }

    write(engine, [first], [sent_again(replace(first, content=backwards))])

    assert_stored_as(engine, first, stored=1, repeated=1)


def test_the_order_of_a_list_says_something(engine: Engine) -> None:
    first = make_keyed_lead("a", verticals=["solar", "wind"])

    write(engine, [first], [sent_again(first, verticals=["wind", "solar"])])

    (parked,) = rows(engine, quarantined_leads)
    assert parked.detail.endswith("in verticals")


@pytest.mark.parametrize(
    "content",
    [{"dateOfBirth": "the ides of March"}, {"city": ["a"]}, {"verticals": ["\ud83d"]}],
    ids=["no date", "no text", "half a surrogate pair"],
)
def test_a_lead_that_cannot_be_stored_keeps_its_key(engine: Engine, content: dict[str, object]) -> None:
    first = make_keyed_lead("a", **content)

    write(engine, [first, sent_again(first)], [sent_again(first)], [sent_again(first, **make_lead().content)])

    assert stored_ids(engine) == []
    assert outcomes(engine) == {"quarantined": 2, "repeated": 2}
    reasons = Counter(row.reason for row in rows(engine, quarantined_leads))
    assert reasons == {"refused_by_database": 1, "idempotency_conflict": 1}


@pytest.mark.parametrize("engine", ["mariadb", "mysql"], indirect=True)
def test_a_lead_that_the_database_refuses_keeps_its_key(engine: Engine) -> None:
    first = make_keyed_lead("a", provinceCode="ABCDE")

    write(engine, [make_lead(), first, sent_again(first)], [sent_again(first)])

    assert outcomes(engine) == {"stored": 1, "quarantined": 1, "repeated": 2}
    (parked,) = rows(engine, quarantined_leads)
    assert (parked.reason, parked.lead_id) == ("refused_by_database", first.id)


def test_a_replay_is_not_taken_for_a_repeat(engine: Engine) -> None:
    first = make_keyed_lead("a", dateOfBirth="the ides of March")
    write(engine, [first])
    (parked,) = rows(engine, quarantined_leads)

    write(engine, [replace(sent_again(first, dateOfBirth="1990-01-01"), replay_of=parked.id)])

    (row,) = rows(engine, leads)
    assert (row.id, row.replay_of, row.status) == (first.id, parked.id, "stored")
    assert outcomes(engine) == {"quarantined": 1, "stored": 1}


SENT = st.lists(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y"])), min_size=1, max_size=5),
    min_size=1,
    max_size=5,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(takes=SENT, redelivered=st.lists(st.integers(0, 4), max_size=3))
def test_any_mix_ends_as_the_first_of_each_key(
    sqlite_engine: Engine, takes: list[list[tuple[str, str]]], redelivered: list[int]
) -> None:
    client_id = uuid4().int >> 80
    firsts: dict[str, str] = {}
    expected: Counter[str] = Counter()
    for take in takes:
        for key, city in take:
            same = firsts.get(key) == city
            expected["repeated" if same else "parked" if key in firsts else "stored"] += 1
            firsts.setdefault(key, city)
    known = {key: make_keyed_lead(key, client_id=client_id) for key in "abc"}
    batches = [make_batch([sent_again(known[key], city=city) for key, city in take]) for take in takes]
    writer = make_writer(sqlite_engine)

    for batch in batches:
        writer.write([(batch, 0)])
    for number in redelivered:
        writer.write([(batches[number % len(batches)], 1)])

    ours = [row for row in rows(sqlite_engine, leads) if row.client_id == client_id]
    assert {row.id: row.city for row in ours} == {known[key].id: city for key, city in firsts.items()}
    assert len(ours) == len(firsts)
    parked = [row for row in rows(sqlite_engine, quarantined_leads) if row.client_id == client_id]
    assert len(parked) == expected["parked"]
    producers = {batch.header.producer_id for batch in batches}
    repeated = [row.repeated for row in rows(sqlite_engine, lead_batches) if row.producer_id in producers]
    assert sum(repeated) == expected["repeated"]

"""Pages and cursors: the same leads in the same order, whatever is stored meanwhile."""

from __future__ import annotations

import base64
import random
import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event

from consumer.writer import NotWritten, Writer
from shared.database import open_database
from shared.keys import KeyRing
from shared.messages import Lead
from tests.factories import NOON, make_batch, make_lead, make_writer
from tests.integration.calling import add_partner, new_app
from tests.integration.lists import ORDERS, SORTS, Reader, in_order, store


@pytest.fixture
def partner(engine: Engine, keys: KeyRing) -> Reader:
    app = new_app("admin", engine, keys, rate_limit_per_minute=10**6)
    return Reader(add_partner(engine), app)


def leads_with_much_in_common(client_id: int, number: int) -> list[Lead]:
    """Of some the times, names and emails are the same."""
    return [
        make_lead(
            client_id=client_id,
            received_at=NOON + timedelta(microseconds=n // 3),
            firstName=f"Name {n % 4}",
            lastName=f"Name {n % 5}",
            email=f"{n % 3}@example.com",
        )
        for n in range(number)
    ]


def test_pages_and_cursors_give_the_same_leads_in_the_same_order(engine: Engine, partner: Reader) -> None:
    leads = leads_with_much_in_common(partner.id, 23)
    store(engine, *leads, *leads_with_much_in_common(partner.id + 1, 5))

    for sort_by in SORTS:
        for order in ORDERS:
            expected = in_order(leads, sort_by, order)
            assert partner.walk(sortBy=sort_by, sortOrder=order, limit=4) == expected
            assert partner.leaf(limit=7, sortBy=sort_by, sortOrder=order) == expected


def test_after_a_cursor_pages_are_counted_on(engine: Engine, partner: Reader) -> None:
    store(engine, *(make_lead(client_id=partner.id) for _ in range(5)))

    _, second = partner.page(page=2, limit=2)
    _, third = partner.page(cursor=second["nextCursor"], limit=2)

    assert (second["page"], third["page"], third["nextCursor"]) == (2, 3, None)
    assert (third["total"], third["total_pages"]) == (5, 3)


def test_a_page_and_a_cursor_are_not_asked_for_together(engine: Engine, partner: Reader) -> None:
    store(engine, *(make_lead(client_id=partner.id) for _ in range(2)))
    _, first = partner.page(limit=1)

    refused = partner.ask(400, page=2, cursor=first["nextCursor"])

    assert list(refused["errors"]) == ["page"]


def test_a_cursor_is_good_for_the_list_it_came_with_only(engine: Engine, partner: Reader) -> None:
    store(engine, *(make_lead(client_id=partner.id, email="a@example.com") for _ in range(2)))
    listing = {"email": "a@example.com", "sortBy": "email", "from_": "2026-01-01"}
    cursor = partner.page(limit=1, **listing)[1]["nextCursor"]

    assert len(partner.ids(cursor=cursor, limit=50, **listing)) == 1
    for change in (
        {"sortBy": "createdAt"},
        {"sortOrder": "ASC"},
        {"email": "b@example.com"},
        {"from_": "2026-01-02"},
        {"to": "2027-01-01"},
        {"status": "stored"},
        {"test": "false"},
        {"phone": "+4915112345678"},
    ):
        refused = partner.ask(400, cursor=cursor, **listing | change)
        assert list(refused["errors"]) == ["cursor"]


def test_a_cursor_that_was_changed_is_refused(engine: Engine, partner: Reader) -> None:
    store(engine, *(make_lead(client_id=partner.id) for _ in range(2)))
    cursor = partner.page(limit=1)[1]["nextCursor"]
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))

    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1
        refused = partner.ask(400, cursor=base64.urlsafe_b64encode(changed).decode().rstrip("="))
        assert list(refused["errors"]) == ["cursor"]
    for text in (cursor[:-4], cursor + "AAAA", cursor[4:], "=" * 8, "🎈"):
        assert list(partner.ask(400, cursor=text)["errors"]) == ["cursor"]


@pytest.mark.parametrize("sort_by", SORTS)
def test_a_walk_gives_every_lead_once_that_was_there_whatever_is_stored_meanwhile(
    engine: Engine, partner: Reader, sort_by: str
) -> None:
    def stored_now() -> list[str]:
        """Leads all over the list: received before the others, among them, and after them."""
        new = leads_with_much_in_common(partner.id, 9)
        late = [make_lead(client_id=partner.id, received_at=NOON - timedelta(days=n)) for n in range(3)]
        store(engine, *new, *late, make_lead(client_id=partner.id, received_at=NOON + timedelta(days=1)))
        return [str(lead.id) for lead in (*new, *late)]

    leads = leads_with_much_in_common(partner.id, 20)
    store(engine, *leads)
    for order in ORDERS:
        there = {*partner.walk(limit=100, sortBy=sort_by, sortOrder=order)}
        walked: list[str] = []
        for number, ids in enumerate(partner.steps(limit=6, sortBy=sort_by, sortOrder=order)):
            walked += ids
            if number < 2:
                stored_now()

        assert len(walked) == len(set(walked))
        assert there <= set(walked)
        assert {str(lead.id) for lead in leads} <= there


def is_written(writer: Writer, leads: list[Lead]) -> bool:
    """Whether the consumer would not have to write the same again."""
    try:
        writer.write([(make_batch(leads), 0)])
    except NotWritten:
        return False
    return True


def test_the_feed_stays_some_seconds_behind_and_never_misses_what_is_stored_late(
    engine: Engine, partner: Reader
) -> None:
    sent: list[str] = []

    def write(seed: int) -> None:
        late = random.Random(seed)
        own = open_database(engine.url.render_as_string(hide_password=False))
        event.listen(own, "commit", lambda _: time.sleep(late.uniform(0, 0.3)))
        writer = make_writer(own)
        for _ in range(6):
            leads = [make_lead(client_id=partner.id) for _ in range(3)]
            while not is_written(writer, leads):
                pass
            sent.extend(str(lead.id) for lead in leads)
        own.dispose()

    writers = [threading.Thread(target=write, args=[seed]) for seed in range(2)]
    for thread in writers:
        thread.start()
    seen: list[str] = []
    feed = {"sortBy": "storedAt", "sortOrder": "ASC", "limit": 5}
    cursor: dict[str, str] = {}
    deadline = time.monotonic() + 30
    while any(thread.is_alive() for thread in writers) or len(seen) < len(sent):
        assert time.monotonic() < deadline, f"{len(seen)} of {len(sent)} seen"
        ids, said = partner.page(**feed, **cursor)
        seen += ids
        if said["nextCursor"] is not None:
            cursor = {"cursor": said["nextCursor"]}
        time.sleep(0.1)

    assert len(sent) == 2 * 6 * 3
    assert sorted(seen) == sorted(sent)
    assert partner.page(**feed, **cursor)[0] == []


def test_the_feed_has_and_counts_no_lead_of_the_last_seconds(engine: Engine, partner: Reader) -> None:
    feed = {"sortBy": "storedAt", "sortOrder": "ASC"}
    old, new = make_lead(client_id=partner.id), make_lead(client_id=partner.id)
    store(engine, old)
    make_writer(engine).write([(make_batch([new]), 0)])

    ids, said = partner.page(**feed)

    assert (ids, said["total"]) == ([str(old.id)], 1)
    assert partner.page(phone="+4915112345678", **feed)[1]["total"] == 1
    assert partner.page(to="2026-06-01T12:02:00Z", **feed)[1]["total"] == 1
    assert partner.ids(sortBy="storedAt") == [str(new.id), str(old.id)]


def test_the_feed_goes_on_from_its_last_cursor(engine: Engine, partner: Reader) -> None:
    feed = {"sortBy": "storedAt", "sortOrder": "ASC"}
    first, second = make_lead(client_id=partner.id), make_lead(client_id=partner.id)
    store(engine, first)
    ids, said = partner.page(**feed)
    at_the_end = partner.page(cursor=said["nextCursor"], **feed)
    make_writer(engine, lambda: NOON + timedelta(hours=1)).write([(make_batch([second]), 0)])

    assert ids == [str(first.id)]
    assert (at_the_end[0], at_the_end[1]["nextCursor"]) == ([], None)
    assert partner.ids(cursor=said["nextCursor"], **feed) == [str(second.id)]

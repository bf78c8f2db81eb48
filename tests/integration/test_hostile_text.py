"""Lists of leads whose texts look alike, are written backwards or in any other way make trouble: on every
database the answers are those of one model in Python."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from shared.columns import sort_key
from shared.keys import KeyRing
from shared.messages import Lead
from tests.factories import NOON, make_lead
from tests.integration.calling import add_partner, new_app
from tests.integration.lists import ORDERS, SORTS, Reader, in_order, store

ROWS = [
    "José Jose JOSÉ josé jose\u0301 josè ä ae a\u0308 \u0308a ÿ",
    "ß ss SS ẞ straße STRASSE İ i ı I i\u0307 ﬁ fi ｆｉ Ⅷ viii ǆ DŽ σ ς Σ",
    "😀 😁 😀😁 Å \u212b a\u030a å Ŀ ½ 1⁄2 \ue000 ﷺ \U0010ffff",
    "שלום \u202eשלום مرحبا \u200fمرحبا лев ЛЕВ 东 東",
    "~ % _ \\ ' \" ` \\' %s :a ? ; -- 0 -1 null",
]
BLANK = ["a", "a ", "a  ", " a", "a\t", "a\n", "a\u00a0", "a\u200b", "\u3000a", "A ", "a\u00ad"]
CONTROL = ["a\x01", "a\x7f", "a\x1b[0m", "a\u0085", "\ufeffa"]
HOSTILE = [*(text for row in ROWS for text in row.split(" ")), *BLANK, *CONTROL]


@pytest.fixture
def partner(engine: Engine, keys: KeyRing) -> Reader:
    return Reader(add_partner(engine), new_app("admin", engine, keys, rate_limit_per_minute=10**6))


@pytest.fixture
def stored(engine: Engine, partner: Reader) -> list[Lead]:
    """A lead for each text, which is its name, its email and its phone number; some at the same moment."""
    leads = [
        make_lead(
            client_id=partner.id,
            received_at=NOON + timedelta(microseconds=number % 7),
            firstName=text,
            lastName=text[::-1],
            email=f"{text}@example.com",
            phone=text,
        )
        for number, text in enumerate(HOSTILE)
    ]
    store(engine, *leads)
    return leads


def test_every_order_is_the_same_on_every_database_by_pages_and_by_cursors(
    partner: Reader, stored: list[Lead]
) -> None:
    for sort_by in SORTS:
        for order in ORDERS:
            expected = in_order(stored, sort_by, order)
            assert partner.walk(sortBy=sort_by, sortOrder=order, limit=31) == expected
            assert partner.leaf(sortBy=sort_by, sortOrder=order, limit=48) == expected


def test_an_email_matches_those_that_are_the_same_and_no_others(partner: Reader, stored: list[Lead]) -> None:
    for text in HOSTILE:
        email = f"{text}@example.com"
        same = [lead for lead in stored if sort_key(lead.content["email"]) == sort_key(email)]
        assert partner.ids(email=email, limit=100) == in_order(same, "createdAt", "DESC"), text


def test_a_phone_number_matches_itself_alone(partner: Reader, stored: list[Lead]) -> None:
    for lead in stored:
        assert partner.ids(phone=lead.content["phone"]) == [str(lead.id)], lead.content["phone"]


def test_the_texts_are_hostile() -> None:
    keys = {sort_key(text) for text in HOSTILE}
    assert len(keys) < len(set(HOSTILE)) == len(HOSTILE)
    assert not any(re.fullmatch(r" \d+", text) for text in HOSTILE)  # which a filter takes for a plus

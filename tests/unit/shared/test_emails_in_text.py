"""Emails are found wherever they stand, in plain words or as JSON or a URL has them."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

import pytest

from shared.emails_in_text import emails_in

EMAILS = [
    "ada@example.com",
    "o'brien@example.com",
    "ada+news@mail.example.co.uk",
    "a&b=c?d/e@example.com",
    "{x}|y*z@example.com",
    '"ada,l"@example.com',
    "müller@exämple.com",
    "ada@[192.0.2.1]",
]


@pytest.mark.parametrize("email", EMAILS)
def test_an_email_is_found_in_whatever_surrounds_it(email: str) -> None:
    body = {"lastName": "L", "email": email, "note": f"({email}), or <{email}>. Bye"}
    for text in (
        json.dumps(body),
        json.dumps(body, ensure_ascii=False),
        json.dumps(body)[:-3],
        f"1,2,{email},3\n",
        f"page=1&email={quote(email)}&limit=3",
        urlencode({"email": email}, safe="@"),
        f"Bcc: {email}.",
    ):
        assert email in emails_in(text), text


def test_all_of_them_are_found() -> None:
    found = emails_in(json.dumps([{"email": email} for email in EMAILS]))
    assert found >= set(EMAILS)


@pytest.mark.parametrize("text", ["", "@", "a@", "@b", "no email at all", "\\", "\\u12", "\\ud800@x"])
def test_a_text_without_any_is_no_fault(text: str) -> None:
    assert "ada@example.com" not in emails_in(text)


def test_a_letter_beyond_the_basic_plane_is_read_from_its_escapes() -> None:
    assert "𐐷@example.com" in emails_in(json.dumps("𐐷@example.com"))

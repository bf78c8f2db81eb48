"""The sample CSV: the same bytes each time, like real life, and bad only where it is meant to be."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[3] / "deploy" / "sample"
RESERVED = re.compile(r"(?i)(example\.(com|org|net)|.+\.example\.(com|org|net)|.+\.(example|test))")
EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+)*@([A-Za-z0-9-]+\.)+[A-Za-z]{2,}"
)
PHONE = re.compile(r"\+?[1-9][0-9]{1,14}")
COUNTRY = re.compile(
    "AE|AT|AU|BE|BG|BR|CA|CH|CL|CN|CZ|DE|DK|EG|ES|FI|FR|GB|GR|HU|IE|IL|IN|IS|IT|JP|KR|MX|NG|NL|NO|NZ|PL|PT|RO|SE|"
    "TH|TR|UA|US|VN|ZA"
)

Row = dict[str, str]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    with (SAMPLE / "leads.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def date_fault(born: str) -> str:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", born):
        return "not YYYY-MM-DD"
    try:
        day = date.fromisoformat(born)
    except ValueError:
        return "no such day"
    return "in the future" if day.year > 2006 else ""


def email_fault(email: str) -> str:
    if len(email) > 255:
        return "too long"
    if not EMAIL.fullmatch(email) or len(email.split("@")[0]) > 64:
        return "not an address"
    return "" if RESERVED.fullmatch(email.split("@")[1]) else "a domain that may be real"


def phone_fault(phone: str) -> str:
    if PHONE.fullmatch(phone):
        return ""
    return "begins with 0" if phone.startswith("0") else "letters"


def name_fault(name: str) -> str:
    return "" if 2 <= len(name) <= 255 else "missing" if not name else "too short"


def faults(row: Row) -> list[str]:
    """What the API's contract says against a row, as `column: kind of fault`."""
    country = row["countryCode"]
    found = {
        "firstName": name_fault(row["firstName"]),
        "lastName": name_fault(row["lastName"]),
        "email": email_fault(row["email"]),
        "phone": phone_fault(row["phone"]),
        "dateOfBirth": date_fault(row["dateOfBirth"]),
        "city": "too long" if len(row["city"]) > 255 else "",
        "zipCode": "too long" if len(row["zipCode"]) > 20 else "",
        "provinceCode": "not of 2 signs" if len(row["provinceCode"]) not in (0, 2) else "",
        "countryCode": "not assigned" if country and not COUNTRY.fullmatch(country) else "",
        "verticals": "empty one" if "" in row["verticals"].split("|") and row["verticals"] else "",
        "clientReference": "too long" if len(row["clientReference"]) > 100 else "",
    }
    return [f"{column}: {fault}" for column, fault in found.items() if fault]


def test_the_script_writes_the_committed_bytes(tmp_path: Path) -> None:
    again = tmp_path / "again.csv"
    subprocess.run([sys.executable, "-I", SAMPLE / "make_leads.py", again], check=True, timeout=60)
    assert again.read_bytes() == (SAMPLE / "leads.csv").read_bytes()


def test_there_are_enough_rows_and_none_shares_an_email(rows: list[Row]) -> None:
    assert len(rows) == 1200
    assert len({row["email"].casefold() for row in rows}) == len(rows)


def test_good_rows_keep_every_rule_and_bad_ones_break_just_one(rows: list[Row]) -> None:
    broken = [faults(row) for row in rows]
    assert Counter(map(len, broken)) == {0: 1164, 1: 36}
    kinds = Counter(kind for kinds in broken for kind in kinds)
    assert len(kinds) >= 8
    assert set(kinds.values()) == {3}


def test_bad_rows_are_spread_over_the_file(rows: list[Row]) -> None:
    bad = [number for number, row in enumerate(rows) if faults(row)]
    gaps = [later - earlier for earlier, later in zip([0, *bad], [*bad, len(rows)], strict=True)]
    assert max(gaps) < 60


def test_the_rows_look_like_real_life(rows: list[Row]) -> None:
    names = " ".join(f"{row['firstName']} {row['lastName']}" for row in rows)
    for letter in "Łøßéñ'-ΓЙ欧佐م서र\u0301":
        assert letter in names, letter
    assert any("🔥" in row["comment"] for row in rows)
    assert any("\n" in row["comment"] for row in rows)
    assert len({row["countryCode"] for row in rows}) > 35
    assert {True, False} == {row["phone"].startswith("+") for row in rows}
    for odd in ("+", "_", "/", "'", "="):
        assert any(odd in row["email"] for row in rows), odd
    assert any(row["email"].isupper() for row in rows)
    for column in ("city", "zipCode", "verticals", "clientReference", "source", "campaign", "comment"):
        assert 0 < sum(not row[column] for row in rows) < len(rows), column

"""Bodies that are sent to do harm: each is refused, and the service that refused it has not grown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.client import Answer, Client, new_lead
from tests.system.running import System

MIB = 1024 * 1024
GROWTH = 96 * MIB

NONSENSE = {
    "NUL": rb'{"email":"a\u0000@example.com"}',
    "half of a surrogate pair": rb'{"email":"\ud83d@example.com"}',
    "NaN": b'{"email":NaN}',
    "infinity": b'{"email":-Infinity}',
    "the same field twice": b'{"email":"a@example.com","email":"b@example.com"}',
    "50,000 levels": b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a mebibyte of brackets": b"[" * MIB,
    "a number of 5,000 digits": b'{"email":' + b"9" * 5_000 + b"}",
    "a mebibyte of digits": b"9" * MIB,
    "a mebibyte of email": b'{"email":"' + b"x@" + b"a." * (MIB // 2 - 16) + b'"}',
    "a mebibyte of fields": b"{" + b",".join(b'"%x":1' % number for number in range(80_000)) + b"}",
}


@pytest.fixture(params=["/api/leads", "/api/tracking/"])
def route(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def is_refused(answer: Answer, status: int) -> bool:
    """Whether it has that status and says why."""
    assert answer.status == status, answer.body
    body = answer.json
    assert body["code"] == status
    assert body["status"] in ("error", "Invalid")
    assert body["message"] not in ("", "Internal server error")
    return len(answer.body) < 64 * 1024


def peaks(system: System) -> dict[int, int]:
    """The most memory that each process has ever had, in bytes."""
    found = {}
    for process in system.processes():
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                found[process.pid] = int(line.split()[1]) * 1024
    return found


def chunks(size: int) -> Iterator[bytes]:
    """A lead that goes on for that many bytes."""
    yield json.dumps(new_lead()).encode()
    for _ in range(size // 65_536):
        yield b" " * 65_536


def test_nonsense_is_refused_and_leaves_the_service_as_it_was(system: System, route: str) -> None:
    with system.client() as partner:
        assert partner.post_lead().status == 201
        before = peaks(system)
        for body in NONSENSE.values():
            for _ in range(3):
                assert is_refused(partner.ask("POST", route, body), 400)
        assert partner.post_lead().status == 201
    after = peaks(system)
    assert after.keys() >= before.keys()
    assert max(after[pid] - before[pid] for pid in before) < GROWTH


@pytest.mark.parametrize("counted", [True, False], ids=["with its length", "in chunks"])
def test_a_body_that_is_far_too_long_is_refused_and_not_kept(
    system: System, route: str, counted: bool
) -> None:
    before = peaks(system)
    with system.client() as partner:
        body = b"".join(chunks(8 * MIB)) if counted else chunks(128 * MIB)
        assert is_refused(partner.ask("POST", route, body), 413)
    after = peaks(system)
    assert max(after[pid] - before[pid] for pid in before) < GROWTH
    with Client(system.port) as anyone:
        assert anyone.ask("GET", "/livez").status == 200

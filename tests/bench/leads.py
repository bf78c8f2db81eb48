"""The leads that benchmarks send: each another person, all of the same size."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

DIGITS = 10
_NUMBER = "#" * DIGITS
LEAD = {
    "firstName": "Katharina",
    "lastName": "Lindqvist-Moreau",
    "email": f"katharina.{_NUMBER}@example.com",
    "phone": f"+4{_NUMBER}",
    "dateOfBirth": "1984-02-29",
    "city": "Saint-Étienne",
    "zipCode": "42000",
    "countryCode": "FR",
    "verticals": ["solar", "insurance"],
    "additionalData": {"source": "landing-page", "campaign": "autumn/7", "score": 12},
}


class Leads:
    """An endless row of leads, numbered from `first`, as bytes of JSON."""

    def __init__(self, first: int = 10 ** (DIGITS - 1)) -> None:
        self._numbers = itertools.count(first)
        text = json.dumps(LEAD, ensure_ascii=False, separators=(",", ":"))
        self._pieces = text.encode().split(_NUMBER.encode())

    def next(self) -> bytes:
        return (b"%d" % next(self._numbers)).join(self._pieces)

    def posts(self, token: str, path: str = "/api/leads") -> Iterator[bytes]:
        """Requests with one lead each."""
        head = _head(path, token, len(self.next()))
        while True:
            yield head + self.next()

    def batches(self, token: str, size: int) -> Iterator[bytes]:
        """Requests with `size` leads each."""
        while True:
            body = b'{"leads":[' + b",".join(self.next() for _ in range(size)) + b"]}"
            yield _head("/api/leads/batch", token, len(body)) + body


def _head(path: str, token: str, length: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()

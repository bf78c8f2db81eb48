"""Times as every client, message and table has them: UTC, microseconds, RFC 3339 with Z."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

import orjson

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Now, aware, in UTC: the clock that production hands to whoever needs one."""
    return datetime.now(UTC)


@lru_cache(maxsize=8)  # the leads of a batch have the same
def format_time(moment: datetime) -> str:
    """`2026-11-21T09:30:00.000001Z` (RFC 3339, always six digits) for an aware time in UTC."""
    # Python's own way to write a time that is aware takes 1.4 µs, orjson's 0.3; it leaves out six zeros.
    text = orjson.dumps(moment, option=orjson.OPT_UTC_Z).decode()
    return text[1:-1] if moment.microsecond else f"{text[1:-2]}.000000Z"


def parse_time(text: str) -> datetime:
    """The aware UTC time that `format_time` wrote. Raises ValueError on what is no time with a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} lies outside of the years 1 to 9999") from None

"""Times as clients, messages and tables have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.times import format_time, parse_time, utc_now


def test_a_time_is_written_with_six_digits_and_z() -> None:
    assert format_time(datetime(2026, 11, 21, 9, 30, 0, 1, tzinfo=UTC)) == "2026-11-21T09:30:00.000001Z"
    assert format_time(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05.000000Z"


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - takes no zone
def test_what_was_written_is_read_back(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment


def test_a_time_of_another_zone_is_read_as_utc() -> None:
    moment = parse_time("2026-06-01T14:00:00+02:00")
    assert moment == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-06-01T14:00:00",
        "2026-13-01T00:00:00Z",
        "0001-01-01T00:00:00+23:00",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_what_is_no_time_with_a_zone_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is datetime's own
        parse_time(text)


def test_now_is_in_utc() -> None:
    now = utc_now()
    assert now.utcoffset() == timedelta(0)
    assert abs(now - datetime.now(timezone(timedelta(hours=5)))) < timedelta(minutes=1)

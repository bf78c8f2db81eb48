"""Rows of `lead_counts`: how many leads, by partner, status and time of receipt."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Any

EVER = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)  # the one bucket of the grain `all`

Counted = tuple[int, bool, str, datetime.datetime]  # partner, whether a test, status, time of receipt


def rows_of_counts(counts: Counter[Counted]) -> list[dict[str, Any]]:
    """What `counts` add to each grain and bucket, or take away where they are negative; sorted by key."""
    buckets: Counter[tuple[int, bool, str, str, datetime.datetime]] = Counter()
    for (client_id, test, status, received_at), number in counts.items():
        minute = received_at.replace(second=0, microsecond=0)
        hour = minute.replace(minute=0)
        for grain, bucket in (
            ("all", EVER),
            ("day", hour.replace(hour=0)),
            ("hour", hour),
            ("minute", minute),
        ):
            buckets[client_id, test, status, grain, bucket] += number
    names = ("client_id", "test", "status", "grain", "bucket")
    return [dict(zip(names, key, strict=True)) | {"leads": buckets[key]} for key in sorted(buckets)]

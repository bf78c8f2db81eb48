"""Rows of `lead_counts`: how many leads, by partner, status and time of receipt."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable
from typing import Any

from consumer.lead_rows import Place

Counted = tuple[int, bool, str, datetime.datetime]  # partner, whether a test, status, time of receipt
EVER = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)  # the one bucket of the grain `all`


def count_rows(places: Iterable[Place], left: Iterable[Counted] = ()) -> list[dict[str, Any]]:
    """What `places` add to each grain and bucket, and those that have `left` their status take away; sorted
    by key."""
    counts = Counter(
        (place.lead.client_id, place.lead.content.get("test") is True, place.status, place.lead.received_at)
        for place in places
    )
    counts.subtract(left)
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

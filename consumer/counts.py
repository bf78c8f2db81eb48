"""What a batch adds to `lead_counts`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from consumer.lead_rows import Place
from shared.lead_counting import EVER, Counted, rows_of_counts

MINUTE = timedelta(minutes=1)


def count_rows(places: Iterable[Place], left: Iterable[Counted] = ()) -> list[dict[str, Any]]:
    """What `places` add to each grain and bucket, and those that have `left` their status take away; sorted
    by key."""
    # Minutes are the finest grain, and of them there are few.
    minutes = Counter(
        (
            place.lead.client_id,
            place.lead.content.get("test") is True,
            place.status,
            (place.lead.received_at - EVER) // MINUTE,
        )
        for place in places
    )
    counts: Counter[Counted] = Counter()
    for (client_id, is_test, status, minute), number in minutes.items():
        counts[client_id, is_test, status, EVER + minute * MINUTE] = number
    counts.subtract(left)
    return rows_of_counts(counts)

"""What a batch adds to `lead_counts`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from consumer.lead_rows import Place
from shared.lead_counting import Counted, rows_of_counts


def count_rows(places: Iterable[Place], left: Iterable[Counted] = ()) -> list[dict[str, Any]]:
    """What `places` add to each grain and bucket, and those that have `left` their status take away; sorted
    by key."""
    counts = Counter(
        (place.lead.client_id, place.lead.content.get("test") is True, place.status, place.lead.received_at)
        for place in places
    )
    counts.subtract(left)
    return rows_of_counts(counts)

"""What reconciliation, statistics and the audit log answer, for the API's document."""

from __future__ import annotations

from shared.api_schemas import PAGINATION, TIME, UUID, JsonSchema, closed, integer, list_of, nullable, text
from shared.openapi import success_of

_SUMS: dict[str, JsonSchema] = {
    "accepted": closed("Accepted", {"batches": integer(12), "leads": integer(340)})
    | {"description": "What producers have had confirmed, or what has arrived."},
    "settled": closed(
        "Settled",
        {
            "batches": integer(12),
            "leads": integer(340),
            "stored": integer(331),
            "duplicate": integer(8),
            "quarantined": integer(1),
            "erased": integer(0),
            "repeated": integer(0) | {"description": "Sent again under their idempotency key."},
        },
    )
    | {"description": "What has a receipt, and what became of it."},
    "givenUp": integer(0) | {"description": "Batches answered with 503, which did not arrive."},
}
_GAP = closed("Gap", {"first": integer(7, minimum=1), "last": integer(8, minimum=1)})
_PRODUCER = closed(
    "ReconciledProducer",
    {
        "producerId": UUID,
        "firstSeenAt": TIME,
        "lastSeenAt": TIME,
        "settledThrough": integer(12) | {"description": "Up to this number it says that all is settled."},
        "settledLeads": integer(340) | {"description": "Leads in those that were not given up."},
        **_SUMS,
        "missing": integer(0),
        "pending": integer(0),
        "isConsistent": {"type": "boolean", "examples": [True]},
        "gaps": list_of(_GAP) | {"description": "Its first 100 ranges of numbers without receipt."},
    },
)
_QUEUE = closed(
    "QueueDepth",
    {
        "waiting": nullable(integer(0)),
        "dead": nullable(integer(0)),
        "fault": nullable(text("RabbitMQ has not answered within 2 s")) | {"examples": [None]},
    },
)
RECONCILIATION = success_of(
    200,
    "Reconciliation",
    closed(
        "Reconciliation",
        {
            "missing": integer(0) | {"description": "Batches that were confirmed and are gone: 0."},
            "pending": integer(0) | {"description": "Batches that may still come."},
            "inconsistent": integer(0) | {"description": "Producers whose receipts contradict themselves."},
            "queue": _QUEUE,
            "checkedAt": TIME,
            **_SUMS,
            "items": list_of(_PRODUCER),
            "pagination": PAGINATION,
        },
    ),
)

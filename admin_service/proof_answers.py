"""What reconciliation, statistics and the audit log answer, for the API's document."""

from __future__ import annotations

from shared.api_schemas import (
    EMAIL,
    JSON_OBJECT,
    NUMBER_ID,
    PAGINATION,
    TIME,
    UUID,
    JsonSchema,
    closed,
    integer,
    list_of,
    nullable,
    one_of,
    page_of,
    text,
)
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

_COUNTED = {
    "accepted": integer(340),
    "stored": integer(331),
    "duplicate": integer(8),
    "quarantined": integer(1),
}
_PARTNER = {"clientId": NUMBER_ID, "clientEmail": nullable(EMAIL)}
STATS = success_of(
    200,
    "Statistics",
    closed(
        "Statistics",
        {
            "bucket": one_of("minute", "hour", "day"),
            "from": TIME,
            "to": TIME,
            "totals": closed("CountedLeads", _COUNTED),
            "items": list_of(closed("CountedBucket", {"bucket": TIME, **_PARTNER, **_COUNTED})),
            "pagination": PAGINATION,
        },
    ),
)

_STATE = JSON_OBJECT | {"type": ["object", "null"], "examples": [{"isActive": True}]}
AUDIT = success_of(
    200,
    "Audit log",
    page_of(
        closed(
            "AuditedChange",
            {
                "id": NUMBER_ID,
                "at": TIME,
                "actorId": nullable(NUMBER_ID) | {"description": "Null: a command on the server."},
                "actorEmail": nullable(EMAIL),
                "action": text("update"),
                "target": text("user"),
                "targetId": text("7"),
                "before": _STATE,
                "after": _STATE,
                "address": nullable(text("192.0.2.7")),
                "requestId": nullable(text("6f1f0f3c2b1d4c0e9a54e7a1c2b3d4e5")),
            },
        )
    ),
)

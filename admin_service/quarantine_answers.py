"""What the quarantine and the timelines of leads answer, for the API's document."""

from __future__ import annotations

from shared.api_schemas import (
    NUMBER_ID,
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

_PAYLOAD: JsonSchema = {
    "type": ["object", "string", "null"],
    "description": "What the lead said; or the bytes of a message that is no lead, as text. In a list null "
    "if it is long.",
    "examples": [{"firstName": "Ada", "email": "ada@example.com", "dateOfBirth": "never"}],
}
_ITEM = closed(
    "Quarantined",
    {
        "id": UUID,
        "leadId": nullable(UUID),
        "clientId": nullable(NUMBER_ID),
        "reason": text("refused_by_database"),
        "detail": text("ValueError: Invalid isoformat string: 'never'"),
        "payload": _PAYLOAD,
        "attempts": integer(1, minimum=1),
        "receivedAt": nullable(TIME),
        "createdAt": TIME,
        "resolution": nullable(one_of("replayed", "discarded")) | {"examples": [None]},
        "resolvedAt": nullable(TIME) | {"examples": [None]},
        "replayedAs": nullable(UUID) | {"examples": [None], "description": "The id of the lead it became."},
    },
)
QUARANTINED = success_of(200, "Quarantined leads", page_of(_ITEM))
ONE_QUARANTINED = success_of(200, "Quarantined lead", _ITEM)
REPLAYED = success_of(
    202,
    "Lead is sent again",
    closed(
        "Replayed",
        {
            "id": UUID,
            "leadId": UUID,
            "status": one_of("queued"),
            "durability": one_of("broker", "spool", "embedded"),
        },
    ),
)
MANY_REPLAYED = success_of(
    202,
    "3 leads are sent again",
    closed(
        "ManyReplayed",
        {
            "replayed": integer(3),
            "left": integer(0) | {"description": "Those that match and are still in quarantine."},
        },
    ),
)
CORRECTED = {
    "firstName": "Ada",
    "lastName": "Lovelace",
    "email": "ada@example.com",
    "phone": "+441632960123",
    "dateOfBirth": "1985-12-10",
}
SOME = {"reason": "refused_by_database"}
TRACE = success_of(
    200,
    "Trace",
    closed(
        "Trace",
        {
            "leadId": UUID,
            "clientId": NUMBER_ID,
            "requestId": nullable(text("6f1f0f3c2b1d4c0e9a54e7a1c2b3d4e5")),
            "status": one_of("stored", "duplicate", "quarantined"),
            "events": list_of(
                closed(
                    "TraceEvent",
                    {
                        "at": TIME,
                        "event": one_of(
                            "request",
                            "queued",
                            "response",
                            "stored",
                            "duplicate",
                            "quarantined",
                            "replayed",
                            "discarded",
                        ),
                        "details": {"type": "object", "examples": [{"method": "POST"}]},
                    },
                )
            ),
        },
    ),
)

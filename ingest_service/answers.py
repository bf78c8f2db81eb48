"""What the ingest service answers, for the API's document."""

from __future__ import annotations

import orjson

from shared.api_schemas import (
    FIELD_ERRORS,
    TIME,
    UUID,
    JsonSchema,
    closed,
    enveloped,
    integer,
    list_of,
    nullable,
    one_of,
    text,
)
from shared.openapi import Answer, success_of

LEAD = {
    "firstName": "Ada",
    "lastName": "Lovelace",
    "email": "ada@example.com",
    "phone": "+441632960123",
    "dateOfBirth": "1985-12-10",
    "city": "London",
    "countryCode": "GB",
    "additionalData": {"source": "spring campaign"},
}

TRACKED_LEAD = {
    "email": "ada@example.com",
    "verticals": ["solar"],
    "firstName": "Ada",
    "dob": "1985-12-10",
    "extraData": {"source": "spring campaign"},
}

NOTHING: JsonSchema = {"type": "null", "examples": [None]}
_WARNINGS = {"warnings": list_of(text("Unknown field `utm` is kept under additionalData"))}
ACCEPTED = closed(
    "AcceptedLead",
    {
        "id": UUID,
        "status": one_of("queued"),
        "durability": one_of("broker", "spool", "embedded"),
        "receivedAt": TIME,
    },
    _WARNINGS,
)
VALID = closed(
    "ValidLead",
    {"id": NOTHING, "status": one_of("valid"), "durability": NOTHING, "receivedAt": NOTHING},
    _WARNINGS,
)
LEAD_ACCEPTED = {
    **success_of(200, "Lead is valid", VALID),
    **success_of(201, "Lead accepted", ACCEPTED, ("Location",)),
}

_SAVED = "Data has been successfully saved"
LEAD_SAVED = {
    200: Answer(
        "Data is valid",
        closed(
            "ValidTrackedLead",
            {"status": one_of("valid"), "message": text("Data is valid"), "id": NOTHING},
            _WARNINGS,
        ),
    ),
    201: Answer(
        _SAVED, closed("SavedLead", {"status": one_of("Ok"), "message": text(_SAVED), "id": UUID}, _WARNINGS)
    ),
}

BATCH = {"leads": [LEAD]}
BATCH_IN_NDJSON = orjson.dumps(LEAD).decode() + "\n"
BATCH_IN_CSV = """\
firstName,lastName,email,phone,dateOfBirth,verticals,additionalData.source
Ada,Lovelace,ada@example.com,+441632960123,1985-12-10,solar|wind,spring campaign
"""

_REFERENCE = {"clientReference": text("order 7")}
_INDEX = {"index": integer(0, maximum=999)}
_RESULT: JsonSchema = {
    "oneOf": [
        closed("GoodLeadOfBatch", _INDEX | {"id": nullable(UUID)}, _REFERENCE | _WARNINGS),
        closed("BadLeadOfBatch", _INDEX | {"errors": FIELD_ERRORS}, _REFERENCE),
    ]
}


def _batch(title: str, *status: str) -> JsonSchema:
    """The `data` of a batch; what only accepted leads have is null where there are none."""
    return closed(
        title,
        {
            "status": one_of(*status),
            "accepted": integer(1, maximum=1000),
            "rejected": integer(0, maximum=1000),
            "durability": nullable(one_of("broker", "spool", "embedded")),
            "receivedAt": nullable(TIME),
            "results": list_of(_RESULT, minItems=1, maxItems=1000),
        },
    )


_NONE = closed(
    None,
    {
        "status": {"const": "error"},
        "code": {"const": 400},
        "message": text("No lead is valid"),
        "data": _batch("RejectedBatch", "rejected"),
    },
)
BATCH_ANSWERED = {
    **success_of(200, "1 of 1 leads valid", _batch("ValidBatch", "valid")),
    **success_of(201, "1 of 1 leads accepted", _batch("AcceptedBatch", "queued")),
    207: Answer(
        "Some of the leads are accepted; the results say which",
        enveloped(207, "1 of 2 leads accepted", _batch("PartlyAcceptedBatch", "queued", "valid")),
    ),
    400: Answer("No lead is valid, or the batch cannot be read", _NONE),
}

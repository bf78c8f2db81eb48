"""What the ingest service answers, for the API's document."""

from __future__ import annotations

from shared.api_schemas import TIME, UUID, JsonSchema, closed, list_of, one_of, text
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

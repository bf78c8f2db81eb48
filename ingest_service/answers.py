"""What the ingest service answers, for the API's document."""

from __future__ import annotations

from shared.api_schemas import TIME, UUID, closed, list_of, one_of, text
from shared.openapi import success_of

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

ACCEPTED = closed(
    "AcceptedLead",
    {
        "id": UUID,
        "status": one_of("queued"),
        "durability": one_of("broker", "spool", "embedded"),
        "receivedAt": TIME,
    },
    {"warnings": list_of(text("Unknown field `utm` is kept under additionalData"))},
)
LEAD_ACCEPTED = success_of(201, "Lead accepted", ACCEPTED, ("Location",))

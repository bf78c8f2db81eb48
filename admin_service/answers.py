"""What the admin service answers, for the API's document."""

from __future__ import annotations

from admin_service.lead_bodies import SENT
from shared.api_schemas import (
    BOOLEAN,
    CURSOR_PAGINATION,
    EMAIL,
    JSON_OBJECT,
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
from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT
from shared.openapi import Answer, success_of

CSV, NDJSON = "text/csv", "application/x-ndjson"

LEAD = closed(
    "StoredLead",
    {
        "id": UUID,
        "status": one_of("stored", "duplicate"),
        "duplicateOf": nullable(UUID) | {"examples": [None]},
        "test": BOOLEAN,
        "clientId": NUMBER_ID,
        "firstName": nullable(text("Ada")),
        "lastName": nullable(text("Lovelace")),
        "email": EMAIL,
        "phone": nullable(text("+441632960123")),
        "dateOfBirth": nullable(text("1985-12-10", format="date")),
        "city": nullable(text("London")),
        "zipCode": nullable(text("EC1A")),
        "provinceCode": nullable(text("LN")),
        "countryCode": nullable(text("GB")),
        "verticals": {"type": ["array", "null"], "items": {"type": "string"}, "examples": [["energy"]]},
        "clientReference": nullable(text("order 17")),
        "additionalData": JSON_OBJECT | {"type": ["object", "null"]},
        "requestId": text("6f1f0f3c2b1d4c0e9a54e7a1c2b3d4e5"),
        "createdAt": TIME,
        "storedAt": TIME,
    },
    {
        "replayOf": UUID | {"description": "Its place in quarantine, if it was replayed from there."},
        "clientEmail": nullable(EMAIL) | {"description": "For admins: the partner who sent it."},
    },
)
_AS_SENT = {"description": "As it was sent, whatever that is.", "examples": [None]}
QUARANTINED_LEAD = closed(
    "QuarantinedLead",
    {name: LEAD["properties"][name] for name in LEAD["required"]}
    | dict.fromkeys(SENT, _AS_SENT)
    | {
        "status": one_of("quarantined"),
        "reason": text("refused_by_database"),
        "duplicateOf": {"type": "null"},
        "requestId": nullable(text("6f1f0f3c2b1d4c0e9a54e7a1c2b3d4e5")),
        "storedAt": {"type": "null"},
    },
    {
        "clientEmail": LEAD["properties"]["clientEmail"],
        "detail": text("ValueError: Invalid isoformat string: 'never'") | {"description": "For admins."},
    },
)
LEADS = success_of(200, "Leads", page_of(LEAD, CURSOR_PAGINATION))
ONE_LEAD = success_of(200, "Lead", {"anyOf": [LEAD, QUARANTINED_LEAD]}, ("ETag",)) | {
    304: Answer("It is as it was when it had the ETag in `If-None-Match`", headers=("ETag",))
}
EXPORT = {
    200: Answer(
        "Every lead, a line each",
        text("id,status,duplicateOf,test,clientId,firstName"),
        ("Content-Disposition",),
        (CSV, NDJSON),
    )
}

_EXCHANGED = {
    "requestId": text("6f1f0f3c2b1d4c0e9a54e7a1c2b3d4e5"),
    "receivedAt": TIME,
    "method": text("POST"),
    "endpoint": text("/api/leads"),
    "query": nullable(text("dryRun=true")) | {"description": "What stood behind the `?`."},
    "clientId": nullable(NUMBER_ID) | {"description": "The user; null where nobody was signed in."},
    "address": text("192.0.2.7"),
    "userAgent": nullable(text("curl/8.5.0")),
}
_ANSWERED = {
    "status": integer(201, minimum=100),
    "durationMs": {"type": "number", "minimum": 0, "examples": [2.417]},
}
_CONTENT = {
    "type": ["object", "array", "string", "null"],
    "description": "The body without credentials: JSON as it was, or text where it is none or was cut; "
    "null where there was none, or the service has not read it.",
    "examples": [{"email": "ada@example.com", "password": "[REDACTED]"}],
}
LOGS = success_of(200, "Logs", page_of(closed("LoggedExchange", {"id": UUID} | _EXCHANGED | _ANSWERED)))
ONE_LOG = success_of(
    200,
    "Log",
    closed(
        "Exchange",
        {
            "id": UUID,
            "request": closed(None, _EXCHANGED | {"payload": _CONTENT}),
            "response": closed(None, _ANSWERED | {"body": _CONTENT}),
        },
    ),
)

TOKEN = closed(
    "AccessToken",
    {
        "id": NUMBER_ID,
        "userId": NUMBER_ID,
        "createdAt": TIME,
        "expiresAt": nullable(TIME),
        "disabledAt": nullable(TIME) | {"examples": [None]},
        "isValid": {"type": "boolean", "examples": [True]},
    },
)
TOKENS = success_of(200, "Access tokens", page_of(TOKEN))

USER = closed(
    "StoredUser",
    {
        "id": NUMBER_ID,
        "email": EMAIL,
        "fullName": nullable(text("Ada Lovelace")),
        "roles": list_of(one_of(ROLE_API_CLIENT, ROLE_ADMIN)),
        "description": nullable(text("Leads from the spring campaign")),
        "sourceUrl": nullable(text("https://partner.example.com")),
        "isActive": {"type": "boolean", "examples": [True]},
        "rateLimitPerMinute": {"type": ["integer", "null"], "minimum": 1, "examples": [None]},
        "createdAt": TIME,
        "updatedAt": TIME,
    },
    {"accessTokens": list_of(TOKEN)},
)
NEW_USER = {
    "email": "partner@example.com",
    "password": "a long secret of theirs",
    "fullName": "Ada Lovelace",
    "roles": [ROLE_API_CLIENT],
    "rateLimitPerMinute": 600,
}
CHANGED_USER = {"isActive": False}
USERS = success_of(200, "Users", page_of(USER))
ONE_USER = success_of(200, "User", USER)
USER_CREATED = success_of(201, "User created", USER, ("Location",))


def _issued(api_token: JsonSchema) -> JsonSchema:
    more = {"expires_at": nullable(TIME), "id": NUMBER_ID}
    return closed(None, {"status": {"const": "Ok"}, "api_token": api_token, **more})


NEW_KEY = {"expirationDate": "2099-12-31 23:59:59", "rotate": True}
_NO_KEY: JsonSchema = {"type": "null", "examples": [None]}
_KEY = text("p8Zt0c3bJrX9vN5qL1mK7wY2aD4fG6hS8eU0iO3xR5s")
KEY_ISSUED = {
    200: Answer("A key is valid still, and nothing new is made", _issued(_NO_KEY)),
    201: Answer("The key, shown this once", _issued(_KEY)),
}

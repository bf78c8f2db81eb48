"""What tests are made of: leads as partners post them and as messages carry them, users, apps."""

from __future__ import annotations

import hashlib
import itertools
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

from sqlalchemy import Engine, insert

from admin_service.user_records import create_user
from consumer.duplicates import Duplicates
from consumer.writer import Writer
from shared.database import writing
from shared.email_hashes import EmailHashes
from shared.erasures import Erasures
from shared.exchanges import Exchange, encode_exchange, encode_exchanges
from shared.identity import ROLE_API_CLIENT, hash_of_key, identity_changed
from shared.messages import Batch, Header, Lead, encode_batch, encode_lead
from shared.models import app_user_api_keys
from shared.passwords import Passwords
from shared.times import Clock, utc_now

PASSWORD = "correct horse battery staple"
PASSWORD_HASH = Passwords().hash(PASSWORD)
EMAIL_HASH_KEY = "a key for tests, 32 characters long"
EMAIL_HASHES = EmailHashes(EMAIL_HASH_KEY.encode())
NOON = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)

_numbers = itertools.count(1)


def lead_body(**changes: Any) -> dict[str, Any]:
    """A lead as `POST /api/leads` takes it, with an email of its own; a change to None leaves a field out."""
    number = next(_numbers)
    body = {
        "firstName": "Zoë",
        "lastName": "Müller",
        "email": f"zoe.{number}.{uuid4().hex[:8]}@example.com",
        "phone": "+4915112345678",
        "dateOfBirth": "1990-02-28",
        "additionalData": {"source": "tests"},
    } | changes
    return {name: value for name, value in body.items() if value is not None}


def tracking_body(**changes: Any) -> dict[str, Any]:
    """A lead as `POST /api/tracking/` takes it, with every field and an email of its own; a change to None
    leaves a field out."""
    number = next(_numbers)
    body = {
        "email": f"ivan.{number}.{uuid4().hex[:8]}@example.com",
        "verticals": ["solar"],
        "firstName": "Иван",
        "lastName": "O'Brien",
        "phone": "0151 / 123-456",
        "dob": "1984-02-29",
        "city": "Sofia",
        "provinceCode": "22",
        "countryCode": "BG",
        "zipCode": "1000",
        "extraData": {"source": "tests"},
    } | changes
    return {name: value for name, value in body.items() if value is not None}


def make_lead(*, client_id: int = 1, received_at: datetime | None = None, **content: Any) -> Lead:
    """An accepted lead. `received_at` is a minute past noon, a microsecond later for each lead made."""
    return Lead(
        id=uuid4(),
        client_id=client_id,
        received_at=received_at or NOON + timedelta(minutes=1, microseconds=next(_numbers)),
        request_id=f"request-{next(_numbers)}",
        content=lead_body(**content),
    )


def make_keyed_lead(key: str, **more: Any) -> Lead:
    """An accepted lead that was sent under that idempotency key."""
    lead = make_lead(**more)
    id = uuid5(NAMESPACE_OID, f"{lead.client_id}/{key}")
    return replace(lead, id=id, key_hash=hashlib.sha256(key.encode()).digest())


def sent_again(lead: Lead, **changes: Any) -> Lead:
    """The same lead under the same key, perhaps with changes in what it says, as it is accepted once more."""
    later = make_lead(client_id=lead.client_id)
    return replace(lead, content=lead.content | changes, received_at=later.received_at)


def make_batch(
    leads: list[Lead],
    *,
    producer_id: UUID | None = None,
    sequence: int = 1,
    settled_through: int = 0,
    settled_leads: int = 0,
    voids: tuple[int, ...] = (),
) -> Batch:
    """A batch of `leads`, of a producer of its own unless one is named."""
    header = Header(producer_id or uuid4(), sequence, settled_through, settled_leads, voids)
    return Batch(header, leads)


def make_writer(
    engine: Engine,
    now: Clock = utc_now,
    *,
    window_days: int = 30,
    erasures: Erasures | None = None,
    elapsed: Callable[[], float] = float,
) -> Writer:
    """A writer as the consumer has it, but that nothing takes it any time unless `elapsed` says so."""
    duplicates = Duplicates(EMAIL_HASHES, timedelta(days=window_days)) if window_days else None
    return Writer(
        engine, now, erasures=erasures or Erasures(EMAIL_HASHES), duplicates=duplicates, elapsed=elapsed
    )


def message(batch: Batch) -> bytes:
    """The batch as it goes over the queue."""
    return encode_batch(batch.header, [encode_lead(lead) for lead in batch.leads])


def make_exchange(**changes: Any) -> Exchange:
    """A request and its response, received a microsecond after the one made before."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "id": uuid4(),
        "received_at": NOON + timedelta(microseconds=number),
        "request_id": f"request-{number}",
        "method": "POST",
        "endpoint": "/api/leads",
        "query": None,
        "payload": '{"firstName":"Zoë"}',
        "client_id": 1,
        "address": "192.0.2.1",
        "user_agent": "curl/8",
        "status": 200,
        "body": '{"status":"success"}',
        "duration_us": 1234,
    }
    return Exchange(**values | changes)


def exchange_message(*exchanges: Exchange) -> bytes:
    """The exchanges as they go over the queue."""
    return encode_exchanges([encode_exchange(exchange) for exchange in exchanges])


def make_user(
    engine: Engine, email: str = "partner@example.com", *, roles: tuple[str, ...] = (ROLE_API_CLIENT,)
) -> int:
    """A user who signs in with PASSWORD; returns the id."""
    with writing(engine).begin() as connection:
        user = create_user(connection, {"email": email, "password_hash": PASSWORD_HASH, "roles": list(roles)})
        return int(user.id)


def make_api_key(
    engine: Engine, user_id: int, *, expires_at: datetime | None = None, disabled_at: datetime | None = None
) -> str:
    """An API key of the user; returns what the user would send."""
    api_key = secrets.token_urlsafe(32)
    row = {"user_id": user_id, "key_hash": hash_of_key(api_key), "created_at": NOON}
    with writing(engine).begin() as connection:
        connection.execute(
            insert(app_user_api_keys).values(**row, expires_at=expires_at, disabled_at=disabled_at)
        )
        identity_changed(connection)
    return api_key

"""The same work on FastAPI, as somebody who knows it well would write it: uvicorn with uvloop and httptools,
pydantic's compiled validation, everything asynchronous, one process.

It does: verify the RS256 JWT with PyJWT, count in Redis (one pipelined round trip, headers included),
validate the same fields, publish one persistent, mandatory message a lead to a quorum queue over one
connection and channel that all requests share, wait for its confirm, and give the same answer by orjson.
It does not: remember verified tokens, look a user up (revocation, roles), refuse JSON that is ambiguous, know
idempotency keys, log exchanges, or answer while the broker is away.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Annotated, Any

import aio_pika
import jwt
import orjson
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr, Field, StringConstraints
from redis.asyncio import Redis
from uuid_utils.compat import uuid7

from shared.countries import COUNTRY_CODES
from shared.keys import ALGORITHM, read_keys
from shared.settings import read_settings

QUEUE = "fastapi"
WINDOW_SECONDS = 60
MAX_ADDITIONAL_BYTES = 16 * 1024


def is_past(day: date) -> date:
    if day > datetime.now(UTC).date():
        raise ValueError("This value lies in the future")
    return day


def is_country(code: str) -> str:
    if code not in COUNTRY_CODES:
        raise ValueError("This value is not an assigned ISO 3166-1 code in capitals")
    return code


def is_small(value: dict[str, Any]) -> dict[str, Any]:
    if len(orjson.dumps(value)) > MAX_ADDITIONAL_BYTES:
        raise ValueError(f"This value is longer than {MAX_ADDITIONAL_BYTES} bytes")
    return value


Name = Annotated[str, StringConstraints(min_length=2, max_length=255)]


class Lead(BaseModel):
    """The fields of `POST /api/leads`; others are kept."""

    model_config = ConfigDict(extra="allow")

    firstName: Name
    lastName: Name
    email: Annotated[EmailStr, StringConstraints(max_length=255)]
    phone: Annotated[str, StringConstraints(pattern=r"^\+?[1-9][0-9]{1,14}$")]
    dateOfBirth: Annotated[date, AfterValidator(is_past)]
    city: Annotated[str, StringConstraints(max_length=255)] | None = None
    zipCode: Annotated[str, StringConstraints(max_length=20)] | None = None
    provinceCode: Annotated[str, StringConstraints(min_length=2, max_length=2)] | None = None
    countryCode: Annotated[str, AfterValidator(is_country)] | None = None
    verticals: list[str] | None = None
    clientReference: Annotated[str, StringConstraints(max_length=100)] | None = None
    test: bool | None = None
    idempotencyKey: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    additionalData: Annotated[dict[str, Any], AfterValidator(is_small)] | None = None


settings = read_settings()
keys = read_keys(settings.jwt_keys_path)
public_key = keys.public_key(keys.signing_kid)
redis = Redis.from_url(settings.redis_url)


@asynccontextmanager
async def connected(app: FastAPI) -> AsyncIterator[None]:
    """The connections that all requests share."""
    connection = await aio_pika.connect_robust(settings.amqp_url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        app.state.exchange = channel.default_exchange
        yield
    await redis.aclose()


app = FastAPI(lifespan=connected, openapi_url=None)


async def client_id(authorization: Annotated[str, Header()] = "") -> int:
    """Who sends the request. Raises HTTPException."""
    try:
        token = authorization.removeprefix("Bearer ")
        claims = jwt.decode(
            token, public_key, [ALGORITHM], issuer="leadgate", options={"require": ["exp", "sub", "iss"]}
        )
    except jwt.ExpiredSignatureError:
        raise HTTPException(401, "Expired JWT Token") from None
    except jwt.PyJWTError:
        raise HTTPException(403, "Invalid JWT Token") from None
    return int(claims["sub"])


Client = Annotated[int, Depends(client_id)]


async def limited(client: Client) -> dict[str, str]:
    """The headers of the limit, once the request is counted. Raises HTTPException 429."""
    now = time.time()
    key = f"fastapi:{client}:{int(now // WINDOW_SECONDS)}"
    async with redis.pipeline(transaction=False) as pipeline:
        count, _ = await pipeline.incr(key).expire(key, WINDOW_SECONDS).execute()
    limit = settings.rate_limit_per_minute
    remaining, reset = max(limit - count, 0), int(WINDOW_SECONDS - now % WINDOW_SECONDS) + 1
    headers = {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(reset),
        "RateLimit-Policy": f'"client";q={limit};w={WINDOW_SECONDS}',
        "RateLimit": f'"client";r={remaining};t={reset}',
    }
    if count > limit:
        raise HTTPException(429, "Rate limit exceeded", headers | {"Retry-After": str(reset)})
    return headers


@app.post("/api/leads")
async def post_lead(
    lead: Lead, request: Request, client: Client, limit: Annotated[dict[str, str], Depends(limited)]
) -> Response:
    lead_id, request_id = uuid7(), request.headers.get("X-Request-ID") or uuid.uuid4().hex
    received_at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    message = {
        "id": lead_id,
        "clientId": client,
        "receivedAt": received_at,
        "requestId": request_id,
        "content": lead.model_dump(exclude_none=True),
    }
    await app.state.exchange.publish(
        aio_pika.Message(
            orjson.dumps(message),
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        ),
        routing_key=QUEUE,
        mandatory=True,
    )
    data = {"id": lead_id, "status": "queued", "durability": "broker", "receivedAt": received_at}
    body = {"status": "success", "code": 201, "message": "Lead accepted", "data": data}
    headers = limit | {"Location": f"/api/leads/{lead_id}", "X-Request-ID": request_id}
    return Response(orjson.dumps(body), 201, headers, "application/json")

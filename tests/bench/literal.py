"""The literal way: each library used as its front page says, on our own gunicorn settings.

It does the same work: `@jwt_required` verifies RS256, `@limiter.limit` counts in Redis and sets the headers,
marshmallow validates the same fields by its own validators, pika's BlockingConnection publishes one
persistent, mandatory message a lead to a quorum queue and waits for the confirm; the answer is the same.
Connections to RabbitMQ are pooled, because pika allows one greenlet at a time on each.
It does not: look a user up (revocation, roles), refuse JSON that is ambiguous, keep unknown fields, know
idempotency keys, log exchanges, or survive a broker that is away.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from queue import Empty, LifoQueue

import pika
import pika.exceptions
from flask import Flask, Response, jsonify, request
from flask_jwt_extended import JWTManager, get_jwt_identity, jwt_required
from flask_limiter import Limiter
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from pika.adapters.blocking_connection import BlockingChannel
from uuid_utils.compat import uuid7

from shared.countries import COUNTRY_CODES
from shared.keys import ALGORITHM, read_keys
from shared.running import runs_beside
from shared.settings import read_settings

QUEUE = "literal"
PERSISTENT = pika.BasicProperties(delivery_mode=2, content_type="application/json")


class LeadSchema(Schema):
    """The fields of `POST /api/leads`."""

    class Meta:
        unknown = EXCLUDE

    firstName = fields.String(required=True, validate=validate.Length(min=2, max=255))
    lastName = fields.String(required=True, validate=validate.Length(min=2, max=255))
    email = fields.Email(required=True, validate=validate.Length(max=255))
    phone = fields.String(required=True, validate=validate.Regexp(r"^\+?[1-9]\d{1,14}$"))
    dateOfBirth = fields.Date(required=True)
    city = fields.String(allow_none=True, validate=validate.Length(max=255))
    zipCode = fields.String(allow_none=True, validate=validate.Length(max=20))
    provinceCode = fields.String(allow_none=True, validate=validate.Length(equal=2))
    countryCode = fields.String(allow_none=True, validate=validate.OneOf(COUNTRY_CODES))
    verticals = fields.List(fields.String(), allow_none=True)
    clientReference = fields.String(allow_none=True, validate=validate.Length(max=100))
    test = fields.Boolean(allow_none=True)
    idempotencyKey = fields.String(allow_none=True, validate=validate.Length(min=1, max=255))
    additionalData = fields.Dict(keys=fields.String(), allow_none=True)


settings = read_settings()
keys = read_keys(settings.jwt_keys_path)
app = Flask(__name__, static_folder=None)
app.config.update(
    JWT_ALGORITHM=ALGORITHM,
    JWT_PUBLIC_KEY=keys.public_key(keys.signing_kid),
    JWT_DECODE_ISSUER="leadgate",
)
JWTManager(app)
limiter = Limiter(key_func=get_jwt_identity, app=app, storage_uri=settings.redis_url, headers_enabled=True)
runs_beside(app)  # nothing, which our gunicorn settings stop at the end
schema = LeadSchema()
idle: LifoQueue[BlockingChannel] = LifoQueue()


def open_channel() -> BlockingChannel:
    channel = pika.BlockingConnection(pika.URLParameters(settings.amqp_url)).channel()
    channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
    channel.confirm_delivery()
    return channel


def publish(body: bytes) -> None:
    """Returns once RabbitMQ has confirmed."""
    try:
        channel = idle.get_nowait()
    except Empty:
        channel = open_channel()
    try:
        channel.basic_publish("", QUEUE, body, PERSISTENT, mandatory=True)
    except (pika.exceptions.ConnectionClosed, pika.exceptions.StreamLostError):  # idle for too long
        channel = open_channel()
        channel.basic_publish("", QUEUE, body, PERSISTENT, mandatory=True)
    idle.put(channel)


@app.errorhandler(ValidationError)
def answer_invalid(error: ValidationError) -> tuple[Response, int]:
    body = {"status": "error", "code": 400, "message": "Validation failed", "errors": error.messages}
    return jsonify(body), 400


@app.post("/api/leads")
@jwt_required()
@limiter.limit(f"{settings.rate_limit_per_minute}/minute")
def post_lead() -> tuple[Response, int, dict[str, str]]:
    content = schema.load(request.get_json())
    now = datetime.now(UTC)
    if content["dateOfBirth"] > now.date():
        raise ValidationError({"dateOfBirth": ["This value lies in the future"]})
    lead_id, request_id = str(uuid7()), request.headers.get("X-Request-ID") or uuid.uuid4().hex
    received_at = now.isoformat().replace("+00:00", "Z")
    message = {
        "id": lead_id,
        "clientId": int(get_jwt_identity()),
        "receivedAt": received_at,
        "requestId": request_id,
        "content": content | {"dateOfBirth": content["dateOfBirth"].isoformat()},
    }
    publish(json.dumps(message).encode())
    data = {"id": lead_id, "status": "queued", "durability": "broker", "receivedAt": received_at}
    body = {"status": "success", "code": 201, "message": "Lead accepted", "data": data}
    return jsonify(body), 201, {"Location": f"/api/leads/{lead_id}", "X-Request-ID": request_id}

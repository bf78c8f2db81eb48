"""How many leads come in with one request: each is valid or not by itself, those that are share a message."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flask import Blueprint, Response
from marshmallow import ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from ingest_service.accepting import DUPLICATE, Reception, make_durable, reception, refused_duplicates
from ingest_service.answers import BATCH, BATCH_ANSWERED, BATCH_IN_CSV, BATCH_IN_NDJSON
from ingest_service.batch_formats import CSV, NDJSON, Entry, NoLead, Unreadable, read_entries
from ingest_service.idempotency import HEADER, key_of_request
from ingest_service.schemas import FLAGS, MAX_LEADS, BatchSchema, flags_of_request
from shared.access import signed_in
from shared.bodies import read_body
from shared.errors import ApiError, FieldErrors, dotted, success, validation_failed
from shared.identity import ROLE_API_CLIENT
from shared.lead_forms import MAX_BLAMED, read_lead
from shared.messages import Lead, encode_lead
from shared.openapi import answers, takes
from shared.times import format_time

BODY_BYTES = 8 * 1024 * 1024
# What a CSV says once in its header stands in each lead of the message, and RabbitMQ takes 16 MiB.
MESSAGE_BYTES = 12 * 1024 * 1024
# After so much work on a batch other requests have their turn. It must be a real pause: of sleeps
# of 0 seconds gevent runs fifty before it looks who else is there.
WORK_SECONDS, PAUSE_SECONDS = 0.005, 0.001
MAX_REFERENCE = 100

blueprint = Blueprint("batches", __name__)


class _Good(NamedTuple):
    """A valid lead, as it goes into the message, and its result."""

    lead: Lead
    encoded: bytes
    result: dict[str, Any]


@dataclass(slots=True)
class _Batch:
    """What has become of a batch so far: a result for each lead, and those that are good."""

    results: list[dict[str, Any]] = field(default_factory=list)
    good: list[_Good] = field(default_factory=list)
    size: int = 0

    def add(self, lead: Lead, result: dict[str, Any]) -> None:
        encoded = encode_lead(lead)
        self.good.append(_Good(lead, encoded, result))
        self.size += len(encoded)
        if self.size > MESSAGE_BYTES:
            raise RequestEntityTooLarge

    def refuse_duplicates(self) -> None:
        """Refuses those of the good leads that DUPLICATE_POLICY does not want."""
        refused = refused_duplicates([good.lead for good in self.good])
        if not any(refused):
            return
        for good, is_refused in zip(self.good, refused, strict=True):
            if is_refused:
                del good.result["id"]
                good.result.pop("warnings", None)
                good.result["errors"] = {"email": [DUPLICATE]}
        self.good = [good for good, is_refused in zip(self.good, refused, strict=True) if not is_refused]


@blueprint.post("/api/leads/batch")
@signed_in(ROLE_API_CLIENT)
@takes(
    body=BatchSchema(),
    example=BATCH,
    bodies={NDJSON: BATCH_IN_NDJSON, CSV: BATCH_IN_CSV},
    query=FLAGS,
    headers=(HEADER,),
)
@answers(BATCH_ANSWERED)
def post_batch() -> Response:
    """Accepts up to 1,000 leads: 201 once all are durable, 207 if only some are valid, 400 if none is.

    Each has its result, in the order they were sent. Under an `Idempotency-Key` lead *i* counts as sent under
    (key, *i*); a key of its own in `idempotencyKey` wins. With `dryRun=true` they are only looked at: 200 in
    place of 201, and null for what only accepted leads have.
    """
    flags = flags_of_request()
    received = reception(key_of_request())
    try:
        batch = _read(read_entries(read_body(BODY_BYTES)), flags, received)
    except Unreadable as error:
        raise validation_failed({"leads": [str(error)]}) from None
    accepted, all_leads = len(batch.good), len(batch.results)
    data: dict[str, Any] = {
        "status": "valid" if flags["dryRun"] else "queued",
        "accepted": accepted,
        "rejected": all_leads - accepted,
        "durability": None,
        "receivedAt": None,
        "results": batch.results,
    }
    if not accepted:
        raise ApiError(400, "No lead is valid", extra={"data": data | {"status": "rejected"}})
    if not flags["dryRun"]:
        data |= {
            "durability": make_durable([good.encoded for good in batch.good]),
            "receivedAt": format_time(received.received_at),
        }
    code = 207 if accepted < all_leads else 200 if flags["dryRun"] else 201
    are = "valid" if flags["dryRun"] else "accepted"
    return success(code, f"{accepted} of {all_leads} leads {are}", data)


def _read(entries: Iterable[Entry], flags: dict[str, bool], received: Reception) -> _Batch:
    """Validates a batch. Raises Unreadable for one that cannot be read, or is empty or too long."""
    batch = _Batch()
    strict, is_dry_run = flags["strict"], flags["dryRun"]
    pause_at = time.perf_counter() + WORK_SECONDS
    for index, entry in enumerate(entries):
        if index == MAX_LEADS:
            raise Unreadable(f"There are more than {MAX_LEADS} leads")
        if time.perf_counter() >= pause_at:
            time.sleep(PAUSE_SECONDS)
            pause_at = time.perf_counter() + WORK_SECONDS
        result: dict[str, Any] = {"index": index}
        try:
            content, warnings = _content(entry, strict)
        except ApiError as error:
            result["errors"] = error.errors
        else:
            lead = received.receive(content, index)
            batch.add(lead, result)
            result["id"] = None if is_dry_run else lead.id
            if warnings:
                result["warnings"] = warnings[:MAX_BLAMED]
        reference = entry.get("clientReference") if isinstance(entry, dict) else None
        if isinstance(reference, str) and len(reference) <= MAX_REFERENCE:
            result["clientReference"] = reference
        batch.results.append(result)
    if not batch.results:
        raise Unreadable("There are no leads")
    batch.refuse_duplicates()
    return batch


def _content(entry: Entry, strict: bool) -> tuple[dict[str, Any], list[str]]:
    """The validated content, and warnings. Raises ApiError with `errors` by the lead's own field names."""
    if isinstance(entry, NoLead):
        raise validation_failed(entry.errors)
    try:
        return read_lead(entry, strict=strict)
    except ValidationError as error:
        raise validation_failed(_first_of(dotted(error.messages))) from None


def _first_of(errors: FieldErrors) -> FieldErrors:
    """As many as one answer may name of one lead."""
    return dict(list(errors.items())[:MAX_BLAMED])

"""Rows of `leads`: made of what a message says, and found out if the database refuses one."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

import orjson
from sqlalchemy import Connection, Engine, insert
from sqlalchemy.exc import SQLAlchemyError

from consumer.quarantine import REFUSED_BY_DATABASE
from consumer.receipts import Receipt
from shared.columns import sort_key
from shared.database import blames_the_data, in_short, insert_many
from shared.messages import Lead
from shared.models import leads

_INSERT = insert(leads)
Spot = tuple[UUID, int, int]  # a lead's producer, the number of its batch, and its index there

# Columns of `leads` that a partner fills, and the fields they come from.
CONTENT_COLUMNS = {
    "first_name": "firstName",
    "last_name": "lastName",
    "email": "email",
    "phone": "phone",
    "date_of_birth": "dateOfBirth",
    "city": "city",
    "zip_code": "zipCode",
    "province_code": "provinceCode",
    "country_code": "countryCode",
    "verticals": "verticals",
    "client_reference": "clientReference",
    "test": "test",
    "additional_data": "additionalData",
}


class LeadsRefused(Exception):
    """Find out which of `places` have rows that the database refuses, and begin anew without them."""

    def __init__(self, places: Sequence[Place]) -> None:
        super().__init__("the database refuses leads for what they say")
        self.places = places


@dataclass(slots=True)
class Place:
    """A lead's place in its batch, and what becomes of it: its row, the fault it is quarantined for, or
    nothing, because it repeats one that was written before, or was erased on its way."""

    receipt: Receipt
    index: int
    lead: Lead
    row: dict[str, Any] = field(default_factory=dict)
    fault: str | None = None
    reason: str = REFUSED_BY_DATABASE  # for which it is quarantined, if it is
    is_repeat: bool = False
    is_erased: bool = False

    @property
    def spot(self) -> Spot:
        return self.receipt.producer_id, self.receipt.sequence, self.index

    @property
    def id(self) -> UUID:
        """Of what was accepted here: the same however often the batch comes, and when it is replayed."""
        return self.lead.replay_of or uuid5(self.receipt.producer_id, f"{self.receipt.sequence}/{self.index}")

    @property
    def is_written(self) -> bool:
        """Whether it leaves anything, stored or quarantined."""
        return not self.is_repeat and not self.is_erased

    @property
    def status(self) -> str:
        if self.is_erased:
            return "erased"
        if self.is_repeat:
            return "repeated"
        return "quarantined" if self.fault else str(self.row["status"])


def places_of(
    receipts: Sequence[Receipt], stored_at: datetime.datetime, refused: Mapping[Spot, str]
) -> list[Place]:
    """The leads of these batches in their order; `refused` are those known to be at fault."""
    places = []
    for receipt in receipts:
        for index, lead in enumerate(receipt.batch.leads if receipt.batch else ()):
            place = Place(receipt, index, lead)
            if refused:
                place.fault = refused.get(place.spot)
            try:
                place.row = _lead_row(lead, receipt, stored_at)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                place.fault = f"{type(error).__name__}: {error}"
            places.append(place)
    return places


def insert_leads(connection: Connection, places: Sequence[Place]) -> None:
    """Inserts the rows of `places`. Raises LeadsRefused if one is refused for what it says."""
    if not places:
        return
    try:
        insert_many(connection, _INSERT, [place.row for place in places])
    except SQLAlchemyError as error:
        if not blames_the_data(error):
            raise
        raise LeadsRefused(places) from error


def find_refused(engine: Engine, places: Sequence[Place]) -> dict[Spot, str]:
    """Which rows the database refuses, and why; found by halving, in a transaction that leaves nothing."""
    with engine.connect() as connection:
        return dict(_refused(connection, places))


def _refused(connection: Connection, places: Sequence[Place]) -> Iterator[tuple[Spot, str]]:
    try:
        with connection.begin_nested():
            insert_leads(connection, places)
    except LeadsRefused as refused:
        if len(places) == 1:
            yield places[0].spot, in_short(refused.__cause__ or refused)
            return
        middle = len(places) // 2
        yield from _refused(connection, places[:middle])
        yield from _refused(connection, places[middle:])


def _lead_row(lead: Lead, receipt: Receipt, stored_at: datetime.datetime) -> dict[str, Any]:
    said = lead.content.get
    first_name, last_name, email = said("firstName"), said("lastName"), said("email")
    phone, city, zip_code = said("phone"), said("city"), said("zipCode")
    province, country, reference = said("provinceCode"), said("countryCode"), said("clientReference")
    if email is None:
        raise ValueError("email is missing")
    _refuse_no_text(first_name, last_name, email, phone, city, zip_code, province, country, reference)
    born, verticals, additional = said("dateOfBirth"), said("verticals"), said("additionalData")
    return {
        "received_at": lead.received_at,
        "id": lead.id,
        "client_id": lead.client_id,
        "status": "stored",
        "duplicate_of": None,
        "replay_of": lead.replay_of,
        "test": said("test") is True,
        "first_name": first_name,
        "last_name": last_name,
        "email": email,
        "phone": phone,
        "date_of_birth": None if born is None else datetime.date.fromisoformat(born),
        "city": city,
        "zip_code": zip_code,
        "province_code": province,
        "country_code": country,
        "verticals": None if verticals is None else orjson.dumps(verticals).decode(),
        "client_reference": reference,
        "additional_data": None if additional is None else orjson.dumps(additional).decode(),
        "request_id": lead.request_id,
        "stored_at": stored_at,
        "producer_id": receipt.producer_id,
        "sequence": receipt.sequence,
        "first_name_key": sort_key(first_name or ""),
        "last_name_key": sort_key(last_name or ""),
        "email_key": sort_key(email),
    }


def _refuse_no_text(*values: Any) -> None:
    """Raises TypeError unless each is text or None, and ValueError for half a surrogate pair in one: a driver
    would make a statement of its own out of anything else, or fail with an error of its own."""
    "".join([value for value in values if value is not None]).encode()

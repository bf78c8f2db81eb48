"""What is read at each size, from the real admin service: each kind of page, filter and total."""

from __future__ import annotations

import http.client
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Engine, select

from admin_service.lead_cursors import Cursor, write_cursor
from admin_service.lead_filters import LeadFilter
from admin_service.lead_order import Order
from shared.identity import ROLE_ADMIN, ROLE_API_CLIENT
from shared.keys import make_key
from shared.models import leads
from shared.settings import Settings
from shared.times import format_time, utc_now
from tests.bench.growth_rows import DAYS, SHARES
from tests.bench.systems import ADMIN, BIN, UNLIMITED, free_ports, started, wait_until_ready
from tests.factories import make_api_key, make_user

PARTNER = 2  # one fifth of all leads are its own
DEEP = 10_000  # the number of a page
SORTED_BY_NAME = 8_000  # leads that match, at every size
TURNS, WARM_CALLS, CALLS = 3, 3, 11  # each turn of each read: a slow moment falls on a few calls of it


@dataclass(frozen=True, slots=True)
class Read:
    """One request of an admin, or of a partner who sees only its own leads."""

    name: str
    path: str
    as_partner: bool = False


class Readers:
    """An admin and a partner with their keys, who call the service on that port over one kept connection."""

    def __init__(self, engine: Engine, port: int) -> None:
        partners = [
            make_user(engine, f"{n}@example.com", roles=(ROLE_API_CLIENT,)) for n in range(len(SHARES))
        ]
        admin = make_user(engine, "admin@example.com", roles=(ROLE_ADMIN,))
        self._port = port
        self._keys = {False: make_api_key(engine, admin), True: make_api_key(engine, partners[PARTNER - 1])}

    def milliseconds(self, reads: Iterable[Read]) -> dict[str, list[float]]:
        """How long each call took, once what it reads is in memory; by the name of the read."""
        taken: dict[str, list[float]] = defaultdict(list)
        reads = list(reads)
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)) as connection:
            for read in reads * TURNS:
                calls = [self._call(connection, read) for _ in range(WARM_CALLS + CALLS)]
                taken[read.name] += calls[WARM_CALLS:]
        return taken

    def _call(self, connection: http.client.HTTPConnection, read: Read) -> float:
        began = time.perf_counter()
        connection.request("GET", read.path, headers={"X-AUTH-Token": self._keys[read.as_partner]})
        answer = connection.getresponse()
        body = answer.read()
        took = 1000 * (time.perf_counter() - began)
        assert answer.status == 200, (read, body)
        return took


@contextmanager
def admin_service(url: str, folder: Path, first_port: int) -> Iterator[int]:
    """The port of the real admin service on that database, with one worker; `folder` is its DATA_DIR."""
    make_key(Settings(data_dir=folder).jwt_keys_path, utc_now())
    port = next(free_ports(first_port))
    own = {
        "ADMIN_PORT": str(port),
        "API_LOG": "off",
        "DATABASE_URL": url,
        "DATA_DIR": str(folder),
        "RATE_LIMIT_PER_MINUTE": str(UNLIMITED),
        "WEB_WORKERS": "1",
    }
    environment = {name: value for name, value in os.environ.items() if name not in ("AMQP_URL", "REDIS_URL")}
    command = [str(BIN / "gunicorn"), "-c", "deploy/gunicorn.conf.py", ADMIN]
    with started(command, environment | own) as process:
        wait_until_ready(process, port)
        yield port


def reads(engine: Engine, rows: int, until: datetime) -> Iterator[Read]:
    """Every read, over leads that are evenly spread over the DAYS before `until`."""
    middle = _lead_at(engine, until - timedelta(days=DAYS // 2))
    own = _lead_at(engine, until - timedelta(days=DAYS // 2), PARTNER)
    month_end = until.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    month_begin = (month_end - timedelta(days=1)).replace(day=1)
    whole = {"from": format_time(month_begin), "to": format_time(month_end)}
    not_whole = {
        "from": format_time(month_begin + timedelta(minutes=7)),
        "to": format_time(month_end - timedelta(minutes=7)),
    }
    yield Read("one lead by its id", f"/api/leads/{middle.id}")
    yield Read("one lead by its id, as a partner", f"/api/leads/{own.id}", True)
    for who, as_partner, some in (("", False, middle), (", as a partner", True, own)):

        def page(name: str, who: str = who, as_partner: bool = as_partner, **query: Any) -> Read:
            return Read(name + who, f"/api/leads?{urlencode(query)}", as_partner)

        yield page("first page")
        yield page(f"page {DEEP:,} by createdAt", page=DEEP)
        yield page(f"page {DEEP:,} by createdAt, oldest first", page=DEEP, sortOrder="ASC")
        yield page(
            "page in the middle by createdAt",
            page=max(1, rows * (SHARES[PARTNER - 1] if as_partner else 100) // 2000),
        )
        wanted = LeadFilter(client_id=PARTNER if as_partner else None)
        for sort, order in (
            ("createdAt", "DESC"),
            ("storedAt", "DESC"),
            ("storedAt", "ASC"),
            ("email", "DESC"),
            ("email", "ASC"),
        ):
            by = {"sortBy": sort, "sortOrder": order}
            if sort != "createdAt":
                name = "the feed" if (sort, order) == ("storedAt", "ASC") else f"first page by {sort} {order}"
                yield page(name, **by)
            cursor = _cursor(wanted, Order(sort, order == "DESC"), some)
            yield page(f"cursor in the middle by {sort} {order}", **by, cursor=cursor)
        by_name = {"from": format_time(until - timedelta(days=DAYS) * (SORTED_BY_NAME / rows))}
        for sort in ("firstName", "lastName"):
            by = {"sortBy": sort, "sortOrder": "ASC", **by_name}
            yield page(f"first page by {sort} of {SORTED_BY_NAME:,}", **by)
            named = LeadFilter(client_id=wanted.client_id, begin=datetime.fromisoformat(by_name["from"]))
            newest = _lead_at(engine, until - timedelta(days=1), wanted.client_id)
            yield page(
                f"cursor by {sort} of {SORTED_BY_NAME:,}",
                **by,
                cursor=_cursor(named, Order(sort, False), newest),
            )
        yield page("filter email", email=some.email)
        yield page("filter phone", phone=some.phone)
        for status in ("stored", "duplicate"):
            yield page(f"filter status={status}", status=status)
        for test in ("true", "false"):
            yield page(f"filter test={test}", test=test)
        for filters in ({"status": "duplicate"}, {"test": "true"}):
            for sort, order in (("storedAt", "DESC"), ("storedAt", "ASC"), ("email", "ASC")):
                said = "&".join(f"{name}={value}" for name, value in filters.items())
                yield page(f"filter {said} by {sort} {order}", sortBy=sort, sortOrder=order, **filters)
        yield page("filter from and to on whole hours", **whole)
        yield page("filter from and to within hours", **not_whole)
        for sort in ("storedAt", "email"):
            yield page(f"filter from and to by {sort}", **whole, sortBy=sort)
        yield page(
            "total of nearly all time",
            **{
                "from": format_time(
                    until.replace(minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 2, hours=5)
                )
            },
        )
        yield page(
            "total of nearly all time, duplicates",
            status="duplicate",
            **{
                "from": format_time(
                    until.replace(minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 2, hours=5)
                )
            },
        )
    for client_id in (1, len(SHARES)):
        yield Read(f"filter clientId={client_id}", f"/api/leads?clientId={client_id}")


def _lead_at(engine: Engine, moment: datetime, client_id: int | None = None) -> Any:
    newest = select(leads).where(leads.c.received_at < moment)
    if client_id is not None:
        newest = newest.where(leads.c.client_id == client_id)
    with engine.connect() as connection:
        return connection.execute(newest.order_by(leads.c.received_at.desc()).limit(1)).one()


def _cursor(wanted: LeadFilter, order: Order, row: Any) -> str:
    return write_cursor(Cursor(1, order.place_of(row)), wanted, order)

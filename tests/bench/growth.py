"""`make bench-growth`: what inserts and reads cost with 10,000 leads in the table, and with a thousand times
as many. Makes databases of its own on MariaDB, and removes them."""

from __future__ import annotations

import argparse
import datetime
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from uuid_utils.compat import uuid7

from consumer.duplicates import Duplicates
from consumer.writer import WRITER_SESSION, Writer
from shared.database import open_database
from shared.email_hashes import EmailHashes
from shared.erasures import Erasures
from shared.messages import Batch, Header, Lead
from shared.times import utc_now
from tests.bench import growth_picture, page
from tests.bench.disk import LARGER_POOL, larger_pool, pages
from tests.bench.growth_reads import Readers, admin_service, reads
from tests.bench.growth_rows import DAYS, DUPLICATE_WINDOW, FIRST_NAMES, LAST_NAMES, SHARES, Fill
from tests.bench.machine import machine
from tests.bench.results import Measure, Section, measure, save
from tests.bench.servers import CannotBench

DATABASE_URL = "mysql+pymysql://root@127.0.0.1:3306"
FIRST_PORT = 21_000
SMALLEST, LARGEST = 10_000, 10_000_000
PATIENCE_SECONDS = 3600  # of one statement of the filling
INSERTS, BATCH = 10, 1_000  # transactions, each with so many leads
HASHES = EmailHashes(b"a key for benchmarks, 32 characters long")
SLOWER, QUICK_MS = 1.5, 10.0  # so much slower a read may be than in the small table, or so slow anyway
INSERT_SHARE = 0.5
READS = f"reads in at most {SLOWER:g} × their time with {SMALLEST:,} leads, or {QUICK_MS:g} ms"

ABOUT = f"""Databases with these many leads, of {len(SHARES)} partners and over {DAYS} days in monthly
partitions, are filled by statements; the server is left as it is configured, but for the one row that
names a larger buffer pool. Keys of duplicates are those that have not expired. Inserts are the consumer's own
transactions of {BATCH:,} leads, with receipts, duplicates and counts, one after the other; beside them stands
what the whole server read from its disk meanwhile because it was not in the buffer pool, and what it wrote
there, in pages of InnoDB. Reads are requests over HTTP to the real admin service with one worker, those of a
partner of one who has a fifth of all leads. Each read is called again and again: what it needs is in memory.
A read may take {SLOWER:g} × what it takes with {SMALLEST:,} leads, or {QUICK_MS:g} ms.

![Inserts and reads by the number of leads](growth.svg)"""


@dataclass(frozen=True, slots=True)
class Inserts:
    """In each transaction: leads a second, and pages read from the disk and written there for each lead."""

    rates: list[float] = field(default_factory=list)
    pages_read: list[float] = field(default_factory=list)
    pages_written: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Measured:
    """At one size: the inserts, and milliseconds of each call by the read's name."""

    inserts: Inserts
    reads: dict[str, list[float]]
    pooled_inserts: Inserts | None = None  # with LARGER_POOL, where that was measured


def main(arguments: list[str]) -> int:
    """0; 2 with one line if the server is missing."""
    parser = argparse.ArgumentParser("make bench-growth", description=__doc__)
    most = int(os.environ.get("ROWS") or LARGEST)
    parser.add_argument("--rows", type=int, default=most, help=f"the most leads ({LARGEST}); also ROWS=n")
    parser.add_argument("--port", type=int, default=FIRST_PORT, help=f"the first to use ({FIRST_PORT})")
    chosen = parser.parse_args(arguments)
    largest = chosen.rows
    sizes = [SMALLEST]
    while sizes[-1] * 10 <= largest:
        sizes.append(sizes[-1] * 10)
    url = os.environ.get("DATABASE_URL") or DATABASE_URL
    measured = {}
    try:
        if largest >= LARGEST:
            with larger_pool(url):
                pass  # whoever may not do that is told now, not in a quarter of an hour
        for rows in sizes:
            with own_database(url) as own_url:
                until = utc_now()
                fill(own_url, rows, until)
                measured[rows] = measure_all(own_url, rows, until, chosen.port)
                if rows >= LARGEST:
                    with larger_pool(url):
                        pooled = measure_inserts(own_url, rows)
                    measured[rows] = replace(measured[rows], pooled_inserts=pooled)
        version = server_version(url)
    except CannotBench as error:
        print(error, file=sys.stderr)
        return 2
    except SQLAlchemyError as error:
        print(f"bench-growth: {getattr(error, 'orig', None) or error}", file=sys.stderr)
        return 2
    section = section_of(measured, version)
    print("\n".join(page.printed(section)), flush=True)
    if largest >= LARGEST:
        write(section, measured)
    return 0


@contextmanager
def own_database(url: str) -> Iterator[str]:
    """The URL of an empty database that is gone afterwards."""
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    name = f"leadgate_bench_{uuid4().hex[:8]}"
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        server.dispose()


def fill(url: str, rows: int, until: datetime.datetime) -> None:
    engine = open_database(url, patience=PATIENCE_SECONDS)
    for name, step in Fill(engine, rows, until).steps():
        began = time.monotonic()
        step()
        print(f"{rows:,}: {name} in {time.monotonic() - began:.0f} s", flush=True)
    engine.dispose()


def measure_all(url: str, rows: int, until: datetime.datetime, first_port: int) -> Measured:
    """Reads first: what is inserted afterwards is not evenly spread."""
    found = measure_reads(url, rows, until, first_port)
    return Measured(measure_inserts(url, rows), found)


def measure_reads(url: str, rows: int, until: datetime.datetime, first_port: int) -> dict[str, list[float]]:
    """Milliseconds of each call, by the name of the read."""
    engine = open_database(url)
    with tempfile.TemporaryDirectory() as folder, admin_service(url, Path(folder), first_port) as port:
        found = Readers(engine, port).milliseconds(reads(engine, rows, until))
    engine.dispose()
    return found


def measure_inserts(url: str, rows: int) -> Inserts:
    """INSERTS transactions of the consumer's writer, once the buffer pool has what it keeps for them: the
    reads, or who filled the table, have left it with something else."""
    warming = min(max(2, rows // 100_000), 60)
    engine = open_database(url, session=WRITER_SESSION)
    duplicates = Duplicates(HASHES, DUPLICATE_WINDOW)
    writer = Writer(engine, duplicates=duplicates, erasures=Erasures(HASHES))
    producer_id, found = uuid4(), Inserts()
    for number in range(warming + INSERTS):
        batch = Batch(Header(producer_id, number + 1, number, number * BATCH, ()), _leads())
        before, began = pages(engine), time.perf_counter()
        writer.write([(batch, 0)])
        took, after = time.perf_counter() - began, pages(engine)
        if number >= warming:
            found.rates.append(BATCH / took)
            found.pages_read.append((after.read - before.read) / BATCH)
            found.pages_written.append((after.written - before.written) / BATCH)
    engine.dispose()
    return found


def section_of(measured: dict[int, Measured], version: str) -> Section:
    """What was measured as the page has it: the largest table beside the smallest."""
    few, many = min(measured), max(measured)
    small, large = measured[few], measured[many]
    at_few = statistics.median(small.inserts.rates)
    shares = {f"inserts with {many:,} leads ÷ with {few:,}": ("growth_inserts", large.inserts)}
    inserts = {f"with {size:,} leads": (str(size), found.inserts) for size, found in measured.items()}
    if large.pooled_inserts is not None:
        pool = f"with a buffer pool of {LARGER_POOL >> 20:,} MiB"
        shares[f"the same {pool}"] = ("growth_inserts_pooled", large.pooled_inserts)
        inserts[f"with {many:,} leads and {pool[5:]}"] = (f"{many}_pooled", large.pooled_inserts)
    rows: list[Measure] = [
        measure(name, about, "×", [rate / at_few for rate in found.rates], at_least=INSERT_SHARE)
        for about, (name, found) in shares.items()
    ]
    for about, (name, found) in inserts.items():
        rows += [
            measure(f"growth_inserts_{name}", f"inserts {about}", "leads/s", found.rates),
            measure(f"growth_read_{name}", f"read from the disk, {about}", "pages/lead", found.pages_read),
            measure(f"growth_written_{name}", f"written to it, {about}", "pages/lead", found.pages_written),
        ]
    for name, milliseconds in large.reads.items():
        before = statistics.median(small.reads[name])
        about = f"{name} ({page.number(before)} ms with {few:,} leads)"
        allowed = max(QUICK_MS, SLOWER * before)
        rows.append(measure(f"growth: {name}", about, "ms", milliseconds, at_most=allowed, group=READS))
    title = f"From {few:,} to {many:,} leads"
    today = utc_now().date().isoformat()
    return Section(
        "growth", title, ABOUT, tuple(rows), "make bench-growth", today, machine({"MariaDB": version})
    )


def write(section: Section, measured: dict[int, Measured]) -> None:
    """The section's file, its picture, and the page."""
    save(section)
    growth_picture.write(
        {size: found.inserts.rates for size, found in measured.items()},
        {size: found.reads for size, found in measured.items()},
    )
    page.main()


def server_version(url: str) -> str:
    engine = create_engine(url)
    with engine.connect() as connection:
        row = connection.execute(
            text("SELECT @@version, @@innodb_flush_log_at_trx_commit, @@innodb_buffer_pool_size >> 20")
        ).one()
    engine.dispose()
    return f"{row[0]}, innodb_flush_log_at_trx_commit={row[1]}, buffer pool {row[2]} MiB"


def _leads() -> list[Lead]:
    """As the rest of the table, received now."""
    return [_lead(random.choice(FIRST_NAMES), random.choice(LAST_NAMES)) for _ in range(BATCH)]


def _lead(first: str, last: str) -> Lead:
    number = random.randrange(10**9)
    (client_id,) = random.choices(range(1, len(SHARES) + 1), SHARES)
    content = {
        "firstName": first,
        "lastName": last,
        "email": f"{first}.{last}.{number}@example.com".lower(),
        "phone": f"+49151{number:09}",
        "dateOfBirth": "1984-02-29",
        "city": "Berlin",
        "zipCode": "10115",
        "countryCode": "DE",
        "verticals": ["solar", "heating"],
        "additionalData": {"source": "website", "campaign": f"{number:x}"},
    }
    return Lead(uuid7(), client_id, utc_now(), str(uuid4()), content)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

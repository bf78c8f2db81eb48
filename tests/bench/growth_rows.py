"""Fills a database on MariaDB with leads, as one that has been used for a year: many rows in a statement,
because the writer would take an hour for ten millions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Engine, Index
from sqlalchemy.schema import CreateIndex, DropIndex

from consumer.maintenance import LATE
from shared.lead_counting import EVER
from shared.migrations import upgrade
from shared.models import MINUTES_KEPT, duplicate_keys, leads

DAYS = 395  # thirteen months
DUPLICATE_WINDOW = timedelta(days=30)
STEP_ROWS = 250_000
SHARES = (40, 20, 12, 8, 8, 5, 4, 3)  # of a hundred leads, those of client 1, 2, …
DUPLICATES, TESTS, OF_LEADS = 3_000, 5, 100_000  # so many of so many leads
DUPLICATE_OF = 997  # a duplicate repeats the lead that stands so many before it
# fmt: off
FIRST_NAMES = (
    "Amir", "Anna", "Ben", "Bruno", "Carla", "Celia", "Dario", "David", "Elena", "Esra", "Felix", "Greta",
    "Hugo", "Ida", "Jonas", "Klara", "Leon", "Mia", "Noah", "Olga", "Paul", "Rosa", "Simon", "Tara", "Uwe",
    "Vera", "Wim", "Xenia", "Yusuf", "Zita",
)
FRONTS = ("Alten", "Blumen", "Dorn", "Eichen", "Frei", "Gold", "Hoch", "Kirch", "Linden", "Neu", "Ost")
ENDS = ("bach", "berg", "feld", "hof", "huber", "kraus", "lang", "mann", "roth", "stein", "wald")
# fmt: on
LAST_NAMES = tuple(front + end for front in FRONTS for end in ENDS)
CITIES = ("Berlin", "Bremen", "Hamburg", "Jena", "Kiel", "Köln", "Leipzig", "Mainz", "München", "Ulm")

Step = tuple[str, Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Fill:
    """So many leads, evenly over the DAYS before `until`, and what the writer would have kept beside them."""

    engine: Engine
    rows: int
    until: datetime

    def steps(self) -> Iterator[Step]:
        """What is to be done, in pieces of a minute or two, each with its name."""
        yield "tables", self._make_tables
        for first in range(1, self.rows + 1, STEP_ROWS):
            last = min(first + STEP_ROWS - 1, self.rows)
            yield f"leads {first:,} to {last:,}", partial(self._add_leads, first, last)
        for index in sorted(leads.indexes, key=lambda index: str(index.name)):
            yield f"index {index.name}", partial(self._add_index, index)
        for client_id in range(1, len(SHARES) + 1):
            yield f"duplicate keys of client {client_id}", partial(self._add_duplicate_keys, client_id)
        for index in duplicate_keys.indexes:
            yield f"index {index.name}", partial(self._add_index, index)
        yield "counts", self._sum_up_counts

    @property
    def begin(self) -> datetime:
        return self.until - timedelta(days=DAYS)

    def _make_tables(self) -> None:
        """As where the first lead came all these months ago: each month has a partition of its own."""
        upgrade(self.engine)
        month = self.begin.replace(day=1)
        partitions = []
        while month <= self.until:
            after = (month + timedelta(days=32)).replace(day=1)
            partitions.append(f"PARTITION p{month:%Y%m} VALUES LESS THAN ('{after:%Y-%m-%d} 00:00:00')")
            month = after
        partitions.append("PARTITION beyond VALUES LESS THAN (MAXVALUE)")
        self._run(f"ALTER TABLE leads PARTITION BY RANGE COLUMNS (received_at) ({', '.join(partitions)})")
        for index in (*leads.indexes, *duplicate_keys.indexes):
            self._run(str(DropIndex(index).compile(self.engine)))

    def _add_index(self, index: Index) -> None:
        self._run(str(CreateIndex(index).compile(self.engine)))

    def _add_leads(self, first: int, last: int) -> None:
        columns = _columns()
        values = ", ".join(columns.values())
        self._run(
            f"INSERT INTO leads ({', '.join(columns)}) SELECT {values} FROM ({self._drawn(first, last)}) AS d"
        )
        begin, end = self._moment(first), self._moment(last) + timedelta(microseconds=1)
        self._count("hour", "%Y-%m-%d %H:00:00", begin, end)
        minutes = self.until.replace(second=0, microsecond=0) - MINUTES_KEPT
        if end > minutes:
            self._count("minute", "%Y-%m-%d %H:%i:00", max(begin, minutes), end)

    def _drawn(self, first: int, last: int) -> str:
        """Rows with what leads `first` to `last` are made of: `n`; `k`, which kind it is; `m`, the lead that
        it repeats, or itself; `h`, a hash of what it says; `p`, whose it is; `r`, when it came."""
        moment = f"TIMESTAMP'{self.begin:%Y-%m-%d %H:%M:%S.%f}' + INTERVAL n * {self._apart} MICROSECOND"
        repeated = f"IF(k < {DUPLICATES} AND n > {DUPLICATE_OF}, n - {DUPLICATE_OF}, n)"
        numbers = f"SELECT seq AS n, CRC32(CONCAT('k', seq)) % {OF_LEADS} AS k FROM seq_{first}_to_{last}"
        repeats = f"SELECT n, k, {repeated} AS m, {moment} AS r FROM ({numbers}) AS a"
        return f"SELECT n, k, m, r, MD5(m) AS h, CRC32(m) % 100 AS p FROM ({repeats}) AS b"

    def _add_duplicate_keys(self, client_id: int) -> None:
        """Those that have not expired; their hashes are none of the product's, but as long and as far
        apart."""
        oldest = 1 + int(self.rows * (1 - (DUPLICATE_WINDOW + LATE) / timedelta(days=DAYS)))
        first = sum(SHARES[: client_id - 1])
        of_client = f"p >= {first} AND p < {first + SHARES[client_id - 1]}"
        kept = f"m = n AND k NOT BETWEEN {DUPLICATES} AND {DUPLICATES + TESTS - 1}"
        id, hash = _columns()["id"], "UNHEX(SHA2(m, 256))"
        self._run(
            "INSERT INTO duplicate_keys (client_id, email_hash, lead_id, received_at) "
            f"SELECT {client_id}, {hash}, {id}, r FROM ({self._drawn(oldest, self.rows)}) AS d "
            f"WHERE {of_client} AND {kept} ORDER BY 2"
        )

    def _count(self, grain: str, bucket: str, begin: datetime, end: datetime) -> None:
        self._run(
            "INSERT INTO lead_counts (client_id, test, status, grain, bucket, leads) "
            f"SELECT client_id, test, status, '{grain}', DATE_FORMAT(received_at, '{bucket}') AS b, COUNT(*) "
            f"FROM leads WHERE received_at >= '{begin:%Y-%m-%d %H:%M:%S.%f}' "
            f"AND received_at < '{end:%Y-%m-%d %H:%M:%S.%f}' "
            "GROUP BY client_id, test, status, b ON DUPLICATE KEY UPDATE leads = leads + VALUES(leads)"
        )

    def _sum_up_counts(self) -> None:
        for grain, bucket in (("day", "DATE(bucket)"), ("all", f"TIMESTAMP'{EVER:%Y-%m-%d %H:%M:%S}'")):
            self._run(
                "INSERT INTO lead_counts (client_id, test, status, grain, bucket, leads) "
                f"SELECT client_id, test, status, '{grain}', {bucket} AS b, SUM(leads) FROM lead_counts "
                "WHERE grain = 'hour' GROUP BY client_id, test, status, b"
            )
        self._run("ANALYZE TABLE leads, lead_counts, duplicate_keys")

    def _moment(self, number: int) -> datetime:
        return self.begin + timedelta(microseconds=number * self._apart)

    @property
    def _apart(self) -> int:
        """Microseconds between two leads."""
        return DAYS * 86_400_000_000 // (self.rows + 1)

    def _run(self, statement: str) -> None:
        with self.engine.begin() as connection:
            connection.exec_driver_sql("SET SESSION sort_buffer_size = 268435456")
            connection.exec_driver_sql(statement.replace("%", "%%"))  # the driver takes one for a parameter


def _columns() -> dict[str, str]:
    """What stands in each column, made of what `Fill._drawn` gives."""
    first, last = _one_of(FIRST_NAMES, 1), _one_of(LAST_NAMES, 5)
    email = f"CONCAT(LOWER({first}), '.', LOWER({last}), '.', m, '@example.com')"
    client = (
        "CASE "
        + " ".join(f"WHEN p < {sum(SHARES[:number])} THEN {number}" for number in range(1, len(SHARES) + 1))
        + " END"
    )
    is_test = f"k BETWEEN {DUPLICATES} AND {DUPLICATES + TESTS - 1}"
    return {
        "received_at": "r",
        "id": _id("r", "n"),
        "client_id": client,
        "status": "IF(m < n, 'duplicate', 'stored')",
        "duplicate_of": f"IF(m < n, {_id('r', 'm')}, NULL)",
        "test": is_test,
        "first_name": first,
        "last_name": last,
        "email": email,
        "phone": "CONCAT('+49151', LPAD(CONV(SUBSTR(h, 9, 7), 16, 10), 9, '0'))",
        "date_of_birth": "DATE'1950-01-01' + INTERVAL CONV(SUBSTR(h, 16, 4), 16, 10) % 18000 DAY",
        "city": _one_of(CITIES, 20),
        "zip_code": "LPAD(CONV(SUBSTR(h, 24, 4), 16, 10), 5, '0')",
        "country_code": "'DE'",
        "verticals": '\'["solar","heating"]\'',
        "additional_data": 'CONCAT(\'{"source":"website","campaign":"\', SUBSTR(h, 1, 12), \'"}\')',
        "request_id": "UUID()",
        "stored_at": "r + INTERVAL 100000 + CONV(SUBSTR(h, 28, 4), 16, 10) MICROSECOND",
        "producer_id": "UNHEX(MD5(n DIV 1000000))",
        "sequence": "n DIV 20",
        "first_name_key": f"LOWER({first})",
        "last_name_key": f"LOWER({last})",
        "email_key": email,
    }


def _one_of(words: tuple[str, ...], place: int) -> str:
    """One of `words`, by the digits at `place` of the hash."""
    chosen = f"1 + CONV(SUBSTR(h, {place}, 4), 16, 10) % {len(words)}"
    return f"ELT({chosen}, {', '.join(repr(word) for word in words)})"


def _id(moment: str, number: str) -> str:
    """A UUID of version 7."""
    milliseconds = f"LPAD(HEX(CAST(UNIX_TIMESTAMP({moment}) * 1000 AS UNSIGNED)), 12, '0')"
    digits = f"MD5(CONCAT('id', {number}))"
    return f"UNHEX(CONCAT({milliseconds}, '7', SUBSTR({digits}, 1, 3), '8', SUBSTR({digits}, 4, 15)))"

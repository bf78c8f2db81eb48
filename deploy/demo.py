"""Posts a CSV of leads over HTTP and shows that every accepted one can be found again.

Each row is posted under an Idempotency-Key of its own, so that a row tried again after 503 is stored once.
Ends with status 0 only if no row is unaccounted for, every accepted lead is listed, and the totals agree.
"""

from __future__ import annotations

import csv
import math
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task
from rich.table import Table
from rich.text import Text

from deploy.api_connection import Connection, close_all, connections
from deploy.queryable_timer import QueryableTimer

DEMO_PASSWORD = "password123"  # noqa: S105 - published, and good for the demo users only
ADDITIONAL = ("source", "campaign", "comment")
POSTERS, SAMPLE_EVERY = 8, 10
PAGE = 100


@dataclass(frozen=True)
class Outcome:
    """What became of one row, numbered from 1: exactly one of lead_id, reasons and failure is set."""

    row: int
    lead_id: str = ""
    reasons: tuple[str, ...] = ()
    failure: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Report:
    """A whole run; `listed` are the accepted ids found in the list, `grown` is how much its total rose."""

    rows: int
    outcomes: Sequence[Outcome]
    posting_seconds: float
    listed: frozenset[str]
    grown: int
    queryable_seconds: Sequence[float]

    @property
    def accepted(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.lead_id]

    @property
    def rejected(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.reasons]

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.failure]


class RateColumn(ProgressColumn):
    """Leads a second, in the progress bar."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:,.0f} leads/s")


def lead_of(row: Mapping[str, str]) -> dict[str, Any]:
    """The lead to post for a CSV row: empty cells are left out, so that the API says what is missing."""
    lead: dict[str, Any] = {column: cell for column, cell in row.items() if cell and column not in ADDITIONAL}
    if "verticals" in lead:
        lead["verticals"] = lead["verticals"].split("|")
    additional = {column: row[column] for column in ADDITIONAL if row.get(column)}
    return lead | ({"additionalData": additional} if additional else {})


def read_leads(path: Path) -> list[dict[str, Any]]:
    """The leads of a CSV in UTF-8 with a header row, in order. Raises ClickException if it is none."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, restkey="", restval="", strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise click.ClickException(f"--csv {path}: {error}") from error
    for number, row in enumerate(rows, 1):
        if "" in row:
            raise click.ClickException(f"--csv {path}: row {number} has a cell without a column name")
    return [lead_of(row) for row in rows]


def fetch(connection: Connection, method: str, path: str, body: object = None) -> dict[str, Any]:
    """The JSON object of a 200 answer. Raises ClickException if the answer is any other."""
    answer = connection.ask(method, path, body)
    if answer.status != 200:
        raise click.ClickException(f"{method} {path}: {answer}")
    return answer.body


def login(url: str, email: str) -> str:
    """A token for a demo user. Raises ClickException if it is refused."""
    with closing(Connection(url)) as connection:
        credentials = {"email": email, "password": DEMO_PASSWORD}
        return str(fetch(connection, "POST", "/api/login_check", credentials)["token"])


def post_lead(connection: Connection, row: int, lead: object, key: str) -> Outcome:
    """What became of the lead. Without a clear answer it is a failure; no network error is raised."""
    try:
        answer = connection.ask("POST", "/api/leads", lead, key)
    except (OSError, HTTPException) as error:
        return Outcome(row, failure=f"no answer, {type(error).__name__}: {error}")
    lead_id = (answer.body.get("data") or {}).get("id")
    if answer.status == 201 and lead_id:
        return Outcome(row, lead_id=lead_id, seconds=answer.seconds)
    if answer.status == 400:
        errors = (answer.body.get("errors") or {}).items()
        reasons = tuple(f"{field}: {message}" for field, messages in errors for message in messages)
        return Outcome(row, reasons=reasons or (str(answer),))
    return Outcome(row, failure=str(answer))


def post_all(
    url: str, token: str, leads: Sequence[object], timer: QueryableTimer, advance: Callable[[], object]
) -> list[Outcome]:
    """Post all leads on POSTERS connections at once, and call `advance` after each."""
    run_id = uuid.uuid4().hex
    idle = connections(url, token, POSTERS)

    def post(row: int, lead: object) -> Outcome:
        connection = idle.get()
        try:
            outcome = post_lead(connection, row, lead, f"demo-{run_id}-{row}")
        finally:
            idle.put(connection)
        if outcome.lead_id and row % SAMPLE_EVERY == 1:
            timer.start(outcome.lead_id)
        advance()
        return outcome

    with ThreadPoolExecutor(POSTERS) as threads:
        outcomes = list(threads.map(post, range(1, len(leads) + 1), leads))
    close_all(idle)
    return outcomes


def list_page(admin: Connection, query: str) -> dict[str, Any]:
    """The items and pagination of one page of leads."""
    return dict(fetch(admin, "GET", f"/api/leads?{query}")["data"])


def total_of(admin: Connection) -> int:
    return int(list_page(admin, "limit=1")["pagination"]["total"])


def newest_ids(admin: Connection, count: int) -> set[str]:
    """The ids of the newest `count` leads, rounded up to whole pages."""
    pages = range(1, math.ceil(count / PAGE) + 1)
    queries = (f"limit={PAGE}&page={page}&sortBy=createdAt&sortOrder=DESC" for page in pages)
    return {item["id"] for query in queries for item in list_page(admin, query)["items"]}


def wait_until_listed(
    admin: Connection, accepted: frozenset[str], before: int, wait: float
) -> tuple[frozenset[str], int]:
    """Those accepted ids that are listed, and the growth of the total: once all are, or after `wait` s."""
    deadline = time.monotonic() + wait
    while True:
        late = time.monotonic() >= deadline
        grown = total_of(admin) - before
        if late or grown >= len(accepted):
            listed = accepted & newest_ids(admin, grown)
            if late or listed == accepted:
                return listed, grown
        time.sleep(0.1)


def percentile(values: Iterable[float], percent: float) -> float | None:
    """The smallest value that `percent` of 100 values do not exceed; None without values."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)] if ranked else None


def milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:,.1f}"


def table_rows(report: Report) -> list[tuple[str, str]]:
    """Label and value of each line of the result; a line that details the one above is indented."""
    latencies = [outcome.seconds for outcome in report.accepted]
    reasons = Counter(reason for outcome in report.rejected for reason in outcome.reasons)
    times, samples = report.queryable_seconds, len(report.queryable_seconds)
    return [
        ("rows read", f"{report.rows:,}"),
        ("accepted", f"{len(latencies):,}"),
        ("rejected", f"{len(report.rejected):,}"),
        *((f"  {reason}", f"{count:,}") for reason, count in reasons.most_common()),
        ("stored (listed by the admin service)", f"{len(report.listed):,}"),
        ("accepted, leads/s", f"{len(latencies) / report.posting_seconds:,.0f}"),
        ("acceptance latency, p50, ms", milliseconds(percentile(latencies, 50))),
        ("acceptance latency, p95, ms", milliseconds(percentile(latencies, 95))),
        (f"accepted to queryable, p95 of {samples} leads, ms", milliseconds(percentile(times, 95))),
    ]


def table_of(rows: Iterable[tuple[str, str]]) -> Table:
    table = Table(box=box.ROUNDED, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    for label, value in rows:
        text = label.lstrip()
        table.add_row(Padding(Text(text), (0, 0, 0, len(label) - len(text))), Text(value))
    return table


def some(names: Sequence[str]) -> str:
    """The first three names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def disagreements(report: Report) -> list[str]:
    """What keeps the run from being a success, a phrase for each pair of counts that disagree."""
    accepted, rejected, listed = len(report.accepted), len(report.rejected), len(report.listed)
    faults = [] if accepted else ["no lead was accepted"]
    if accepted + rejected != report.rows:
        failures = some([f"row {outcome.row}: {outcome.failure}" for outcome in report.failed])
        faults.append(f"{report.rows} rows, but {accepted} accepted + {rejected} rejected ({failures})")
    if listed != accepted:
        lost = [outcome for outcome in report.accepted if outcome.lead_id not in report.listed]
        missing = some([f"row {outcome.row} as {outcome.lead_id}" for outcome in lost])
        why = f"missing: {missing}" if lost else "an id was given twice"
        faults.append(f"{accepted} accepted, but {listed} listed ({why})")
    if report.grown != accepted:
        faults.append(f"{accepted} accepted, but the total grew by {report.grown}")
    return faults


def run(url: str, leads: Sequence[object], email: str, admin_email: str, wait: float) -> Report:
    """Post, wait and count. Raises ClickException, OSError or HTTPException if the API cannot be used."""
    token, admin_token = login(url, email), login(url, admin_email)
    columns = ("posting", BarColumn(), MofNCompleteColumn(), RateColumn())
    with closing(Connection(url, admin_token)) as admin, closing(QueryableTimer(url, token, wait)) as timer:
        before = total_of(admin)
        with Progress(*columns, disable=not sys.stdout.isatty()) as progress:
            task = progress.add_task("", total=len(leads))
            begun = time.perf_counter()
            outcomes = post_all(url, token, leads, timer, lambda: progress.advance(task))
            seconds = time.perf_counter() - begun
        accepted = frozenset(outcome.lead_id for outcome in outcomes if outcome.lead_id)
        click.echo(f"posted in {seconds:.1f} s; waiting until {len(accepted):,} leads are listed")
        listed, grown = wait_until_listed(admin, accepted, before, wait)
    return Report(len(leads), outcomes, seconds, listed, grown, timer.seconds)


@click.command()
@click.option("--url", required=True, help="Where the API is, as http://HOST:PORT.")
@click.option("--csv", "path", required=True, type=click.Path(path_type=Path), help="The leads.")
@click.option("--email", default="test@example.com", show_default=True, help="The partner who posts.")
@click.option("--admin-email", default="admin@example.com", show_default=True, help="The admin who counts.")
@click.option("--wait", default=60.0, show_default=True, help="Seconds that all accepted have to be listed.")
def main(url: str, path: Path, email: str, admin_email: str, wait: float) -> None:
    """Post a CSV of leads and prove that none of the accepted ones was lost."""
    if urlsplit(url).scheme != "http":
        raise click.BadParameter("must begin with http://", param_hint="--url")
    leads = read_leads(path)
    click.echo(f"posting {len(leads):,} leads of {path.name} to {url}")
    try:
        report = run(url, leads, email, admin_email, wait)
    except (OSError, HTTPException) as error:
        raise click.ClickException(f"{url}: {error}") from error
    Console().print(table_of(table_rows(report)))
    if faults := disagreements(report):
        raise click.ClickException("; ".join(faults))
    click.echo("Every accepted lead is listed.")


if __name__ == "__main__":
    main()

"""`reconcile`, which `make reconcile` calls too."""

from __future__ import annotations

import sys
import time
from typing import Any

import click
from flask.cli import with_appcontext
from rich import box
from rich.console import Console
from rich.table import Table

from admin_service.commands import Command, errors_in_a_line
from admin_service.pagination import MAX_LIMIT
from admin_service.reconciliation import reconcile_app

MISSING_STATUS, PENDING_STATUS = 1, 3
POLL_SECONDS = 0.5


@click.command("reconcile", cls=Command)
@click.option(
    "--wait",
    type=click.FloatRange(0, 86_400),
    default=75.0,
    show_default=True,
    help="Seconds to wait for what is pending; a batch that is gone takes about a minute to be known.",
)
@with_appcontext
def reconcile_command(wait: float) -> None:
    """Compare what was accepted with what was settled.

    Ends with status 0 if nothing is missing and nothing is pending, with 1 if something is missing or the
    receipts contradict themselves, and with 3 if something is pending still.
    """
    data = _wait_until_settled(time.monotonic() + wait)
    console = Console()
    console.print(_sums(data), _faults(data) or "", sep="\n")
    if fault := data["queue"]["fault"]:
        click.echo(f"What is in the queues is not known: {fault}", err=True)
    if data["missing"] or data["inconsistent"]:
        sys.exit(MISSING_STATUS)
    if data["pending"]:
        sys.exit(PENDING_STATUS)


def _wait_until_settled(deadline: float) -> dict[str, Any]:
    """What is known once nothing is pending any more, or at the deadline."""
    while True:
        with errors_in_a_line():
            data = reconcile_app(1, MAX_LIMIT)
        left = deadline - time.monotonic()
        if not data["pending"] or left <= 0:
            return data
        time.sleep(min(left, POLL_SECONDS))


def _sums(data: dict[str, Any]) -> Table:
    table = Table("", "batches", "leads", box=box.SIMPLE, show_header=True)
    for column in table.columns[1:]:
        column.justify = "right"
    settled = data["settled"]
    table.add_row("accepted", str(data["accepted"]["batches"]), str(data["accepted"]["leads"]))
    table.add_row("settled", str(settled["batches"]), str(settled["leads"]))
    for outcome in ("stored", "duplicate", "quarantined", "erased", "repeated"):
        table.add_row(f"  {outcome}", "", str(settled[outcome]))
    table.add_row("given up", str(data["givenUp"]), "")
    table.add_row("pending", str(data["pending"]), "")
    table.add_row("missing", str(data["missing"]), "", style="bold red" if data["missing"] else "bold green")
    return table


def _faults(data: dict[str, Any]) -> Table | None:
    """The producers with something wrong, which stand first, with the numbers they lack."""
    table = Table("producer", "missing", "pending", "numbers", "receipts", box=box.SIMPLE)
    for item in data["items"]:
        if item["gaps"] or not item["isConsistent"]:
            numbers = ", ".join(_range(gap) for gap in item["gaps"])
            verdict = "consistent" if item["isConsistent"] else "contradict themselves"
            row = (item["producerId"], item["missing"], item["pending"], numbers, verdict)
            table.add_row(*map(str, row))
    return table if table.row_count else None


def _range(gap: dict[str, int]) -> str:
    first, last = gap["first"], gap["last"]
    return str(first) if first == last else f"{first}-{last}"

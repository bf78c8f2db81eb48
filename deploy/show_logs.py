"""`python -m deploy.show_logs TARGET [ID]`: the log of API exchanges, for people at a terminal.

It reads the database that the system around it uses: the same variables, the same default.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from sqlalchemy import Row
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from admin_service.logs import conditions, newest
from shared.database import in_short, open_database
from shared.reading import reading
from shared.settings import Settings, masked, read_settings
from shared.times import format_time

LAST = 10
OF_ONE_ID = 100  # exchanges at most that are shown in full
WIDE = 110  # columns from which on there is room for everything
NOT_A_TERMINAL = 200  # columns for whoever reads us in a pipe
WRONG_USE, INTERRUPTED = 2, 130


class CannotShow(Exception):
    """Why there is nothing to be seen, in one line."""


def main(words: Sequence[str]) -> int:
    """`api-logs`, `api-logs-errors`, `api-logs-full ID` or `api-request-data ID`; the exit status."""
    target, *rest = words
    console = Console(width=None if sys.stdout.isatty() else NOT_A_TERMINAL, highlight=False)
    settings = read_settings()
    try:
        if target in ("api-logs", "api-logs-errors"):
            query = {"errors": True} if target == "api-logs-errors" else {}
            console.print(table_of(find(settings, query, LAST), console.width))
            console.print("make api-request-data ID=… shows one with its bodies", style="dim")
            return 0
        request_id = rest[0].removeprefix("ID=") if rest else ""
        request_id = request_id or ask_for_id(settings)
        for row in find(settings, {"requestId": request_id}, OF_ONE_ID if target == "api-logs-full" else 1):
            show_exchange(console, row)
    except CannotShow as why:
        print(why, file=sys.stderr)
        return 1
    except EOFError:
        print(f"Which one? Say it as in: make {target} ID=<request id>", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def find(settings: Settings, query: dict[str, Any], limit: int) -> Sequence[Row[Any]]:
    """The newest exchanges that match a loaded LogsQuery. Raises CannotShow if there is none."""
    url = settings.leads_database_url
    path = make_url(url).database or ""
    if url.startswith("sqlite") and not Path(path).exists():
        raise CannotShow(f"There is no database at {path}: `make run` makes it")
    engine = open_database(url)
    try:
        with reading(engine).connect() as connection:
            rows = newest(connection, conditions(query), limit)
    except SQLAlchemyError as error:
        raise CannotShow(f"The logs in {masked(url)} cannot be read: {in_short(error)}") from None
    finally:
        engine.dispose()
    if not rows:
        raise CannotShow(_nothing_found(settings, query))
    return rows


def _nothing_found(settings: Settings, query: dict[str, Any]) -> str:
    if "requestId" in query:
        return f"No API exchange is logged with the request id {printable(query['requestId'])}"
    what = "No API exchange that ended in an error" if query else "No API exchange"
    return f"{what} is logged{' (API_LOG is off)' if settings.api_log == 'off' else ' yet'}"


def ask_for_id(settings: Settings) -> str:
    """The request id that the user types, or that of the newest exchange. Raises EOFError."""
    if not sys.stdin.isatty():
        raise EOFError
    print("Request id (empty for the newest): ", end="", file=sys.stderr, flush=True)
    return input().strip() or str(find(settings, {}, 1)[0].request_id)


def table_of(rows: Sequence[Row[Any]], width: int) -> Table:
    """The exchanges, one a line; in few columns some are left out, and endpoints cut."""
    is_wide = width >= WIDE
    when = "%Y-%m-%d %H:%M:%S" if is_wide else "%H:%M:%S"
    columns = {
        "Received (UTC)" if is_wide else "UTC": [f"{row.received_at:{when}}" for row in rows],
        "Method": [row.method for row in rows],
        "Endpoint": [printable(row.endpoint) for row in rows],
        "Status": [Text(str(row.status), style=colour_of(row.status)) for row in rows],
        "ms": [f"{row.duration_us / 1000:.1f}" for row in rows],
        "Client": ["–" if row.client_id is None else str(row.client_id) for row in rows],
        "Address": [row.address for row in rows],
        "Request id": [row.request_id for row in rows],
    }
    padding = (0, 1 if is_wide else 0, 0, 0)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=padding)
    for name in columns:
        if not is_wide and name in ("Client", "Address"):
            continue
        # Endpoints give way: request ids are there to be copied.
        justify: Literal["right", "left"] = "right" if name in ("Status", "ms", "Client") else "left"
        table.add_column(name, no_wrap=name != "Endpoint", overflow="ellipsis", justify=justify)
    shown = [columns[str(column.header)] for column in table.columns]
    for line in zip(*shown, strict=True):
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in line))
    return table


def show_exchange(console: Console, row: Row[Any]) -> None:
    """Everything that is known of one exchange."""
    endpoint = printable(f"{row.endpoint}?{row.query}" if row.query else row.endpoint)
    answered = Text(str(row.status), style=f"bold {colour_of(row.status)}")
    console.print(Rule(style="dim"), width=min(console.width, 80))
    console.print(Text.assemble((f"{row.method} {endpoint}", "bold"), " → ", answered), soft_wrap=True)
    for name, value in (
        ("request id", row.request_id),
        ("received", format_time(row.received_at)),
        ("took", f"{row.duration_us / 1000:.3f} ms"),
        ("client", "nobody signed in" if row.client_id is None else f"user {row.client_id}"),
        ("address", row.address),
        ("user agent", row.user_agent or "–"),
    ):
        console.print(Text.assemble((f"{name:>10}  ", "dim"), printable(value)), soft_wrap=True)
    for name, body in (("Request", row.payload), ("Response", row.body)):
        console.print(Text.assemble("\n", (name, "bold")))
        console.print(readable(body), soft_wrap=True)
    console.print()


def readable(body: str | None) -> Text:
    """A body as people read it: JSON in lines and colours, everything else as it is."""
    if body is None:
        return Text("no body, or the service has not read it", style="dim")
    try:
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return Text(printable(body))
    return JSONHighlighter()(Text(printable(body)))


def printable(text: str) -> str:
    """The text without what would steer the terminal: it comes from strangers."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def colour_of(status: int) -> str:
    return "red" if status >= 500 else "yellow" if status >= 400 else "green"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
"""Sends the leads of a CSV file to Leadgate. One file for Python 3.8 or later, which needs nothing else.

However it was interrupted, run it again: each row is sent under a key that follows from the content of the
file and the number of the row, so what was sent before is not stored twice, and rows that are alike are
stored once each.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import getpass
import hashlib
import http.client
import io
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

ROWS, CHARACTERS = 500, 1024 * 1024  # in one request
ANSWER_SECONDS, LONGEST_PAUSE = 60, 30
SHOW_SECONDS = 5  # between two lines of progress where there is no terminal
REASON = "rejected_because"  # the column that is added to rejected rows, and is not sent
KEY = "idempotencyKey"
HELP = """
The columns are named like the fields of a lead: firstName, lastName, email, phone, dateOfBirth (YYYY-MM-DD),
city, zipCode, provinceCode, countryCode, verticals (separated by |), clientReference, test (true or false),
additionalData.NAME. Other columns are kept under additionalData. An empty cell is a field that is not there.

Credentials come from LEADGATE_API_KEY, or LEADGATE_EMAIL and LEADGATE_PASSWORD; without them you are asked.

Rows that are not accepted go to FILE.rejected.csv, with the reasons in a last column. Correct them there and
import that file; the last column is left out. If FILE itself is changed, or imported with another --map, it
counts as another file: all its rows are sent as new leads.

Exit status: 0 every row is accepted, 1 some are rejected or the import was broken off, 2 wrong use.
"""


class WrongUse(Exception):
    """Ends the import with status 2; says why in one line."""


class BrokenOff(Exception):
    """Ends the import with status 1; says why in one line."""


class Rows:
    """The rows of a CSV file. Raises WrongUse if it cannot be read from beginning to end."""

    def __init__(self, path: Path, delimiter: str, fields: dict[str, str]) -> None:
        self.path, self.delimiter = path, delimiter
        try:
            with path.open("rb") as file:
                self.encoding = "utf-8-sig" if file.read(3) == b"\xef\xbb\xbf" else "utf-8"
            self._state = self._current_state()
            self._digest = _digest(path, json.dumps([delimiter, sorted(fields.items())]))
            found = self._read()
            self.header = [name.strip() for name in next(found, (0, []))[1]]
            self.names = self._names(fields)
            self.count = sum(1 for _ in found)
        except OSError as error:
            raise WrongUse(f"{path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise WrongUse(f"{path} is not UTF-8") from None
        except csv.Error as error:
            raise WrongUse(f"{path} is no CSV: {error}") from None

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """The number of each row, from 1, and its cells."""
        found = self._read()
        next(found)
        yield from found

    def require_unchanged(self) -> None:
        """Raises BrokenOff once the file is not what the keys are made of."""
        if self._current_state() != self._state:
            raise BrokenOff(f"{self.path} has changed since the import began")

    def key(self, number: int) -> str:
        """What a row is known by, however often it is sent."""
        return f"import-{self._digest[:40]}-{number}"

    def _read(self) -> Iterator[tuple[int, list[str]]]:
        with self.path.open(encoding=self.encoding, newline="") as file:
            yield from enumerate(filter(None, csv.reader(file, delimiter=self.delimiter, strict=True)))

    def _names(self, fields: dict[str, str]) -> list[str]:
        """The field in each column, empty where it is not sent."""
        if not any(self.header):
            raise WrongUse(f"{self.path} has no header row")
        for column in fields:
            if column not in self.header:
                raise WrongUse(
                    f"--map: {self.path} has no column {column!r}; it has {', '.join(self.header)}"
                )
        names = ["" if name == REASON else fields.get(name, name) for name in self.header]
        for number, (name, column) in enumerate(_pairs(names, self.header)):
            if not column:
                raise WrongUse(f"{self.path}: column {number + 1} has no name")
            if name and name in names[:number]:
                raise WrongUse(f"{self.path}: two columns are {name!r}")
        return names

    def _current_state(self) -> tuple[int, int]:
        stat = self.path.stat()
        return stat.st_mtime_ns, stat.st_size


class Rejected:
    """The rows that were not accepted, in FILE.rejected.csv once the import ends; none, no file."""

    def __init__(self, rows: Rows) -> None:
        stem = rows.path.name[:-4] if rows.path.name.lower().endswith(".csv") else rows.path.name
        self.path = rows.path.with_name(f"{stem}.rejected.csv")
        self.count = 0
        self._header = [name for name in rows.header if name != REASON]
        self._kept = [index for index, name in enumerate(rows.header) if name != REASON]
        self._width = len(rows.header)
        self._columns = {name: column for name, column in _pairs(rows.names, rows.header) if name}
        self._partial = self.path.with_name(f"{self.path.name}.partial")
        self._file = self._partial.open("w", encoding=rows.encoding, newline="")
        self._writer = csv.writer(self._file, delimiter=rows.delimiter)
        self._writer.writerow([*self._header, REASON])

    def add(self, cells: Sequence[str], errors: dict[str, list[str]]) -> None:
        """`errors` are by field; the reasons are by column."""
        reasons = [f"{self._columns.get(name, name)}: {' '.join(texts)}" for name, texts in errors.items()]
        padded = [*cells, *[""] * (self._width - len(cells))]
        kept = [padded[index] for index in self._kept] + padded[self._width :]
        self._writer.writerow([*kept, "; ".join(reasons)])
        self.count += 1

    def close(self, is_complete: bool) -> None:
        """What an earlier import has left stays until this one has come to its end."""
        self._file.close()
        if is_complete and self.count:
            self._partial.replace(self.path)
            return
        self._partial.unlink()
        if is_complete:
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()


class Api:
    """Leadgate at `url`. Waits and asks again, as long as there is hope, for at most `patience` seconds."""

    def __init__(self, url: str, patience: float) -> None:
        self._url, self._patience = url.rstrip("/"), patience
        self._headers: dict[str, str] = {}
        self._login: dict[str, str] | None = None
        self._opener = urllib.request.build_opener(_NoRedirects)

    def sign_in(self, api_key: str, email: str, password: str) -> None:
        if api_key:
            self._headers = {"X-AUTH-Token": api_key}
        else:
            self._login = {"email": email, "password": password}
            self._get_token()

    def post_csv(self, body: str) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer to a batch."""
        status, answer = self._ask("/api/leads/batch", body.encode(), "text/csv; charset=utf-8")
        if status == 401 and self._login:  # a token is good for an hour
            self._get_token()
            status, answer = self._ask("/api/leads/batch", body.encode(), "text/csv; charset=utf-8")
        if status in (401, 403):
            raise WrongUse(f"The credentials are not accepted: {answer.get('message')}")
        return status, answer

    def _get_token(self) -> None:
        self._headers = {}
        status, answer = self._ask("/api/login_check", json.dumps(self._login).encode(), "application/json")
        if status == 401:
            raise WrongUse(f"The credentials are not accepted: {answer.get('message')}")
        if status != 200 or "token" not in answer:
            raise WrongUse(f"{self._url} does not sign in: {status} {answer.get('message', '')}")
        self._headers = {"Authorization": f"Bearer {answer['token']}"}

    def _ask(self, path: str, body: bytes, content_type: str) -> tuple[int, dict[str, Any]]:
        give_up_at, pause = time.monotonic() + self._patience, 1.0
        while True:
            request = urllib.request.Request(self._url + path, body, self._headers)  # noqa: S310 - main has looked
            request.add_header("Content-Type", content_type)
            status, retry_after, answer, fault = self._ask_once(request)
            if not fault:
                return status, answer
            wait = pause if retry_after is None else max(retry_after, 0.1)
            if time.monotonic() + wait > give_up_at:
                raise BrokenOff(f"{self._url}: {fault}")
            say(f"{fault}; again in {wait:g} s")
            time.sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _ask_once(self, request: urllib.request.Request) -> tuple[int, float | None, dict[str, Any], str]:
        """Status, seconds to wait, body, and the fault if it should be asked again."""
        try:
            try:
                response = self._opener.open(request, timeout=ANSWER_SECONDS)
            except urllib.error.HTTPError as error:
                response = error
            with response:
                status, content = response.getcode() or 0, response.read()
        except (OSError, http.client.HTTPException) as error:
            return 0, None, {}, f"no answer: {getattr(error, 'reason', None) or error}"
        if 300 <= status < 400:
            raise WrongUse(f"{self._url} leads to {response.headers.get('Location')}: use that as --url")
        answer = _object(content)
        is_passing = status == 429 or status >= 500
        fault = f"{status} {answer.get('message', '')}".strip() if is_passing else ""
        return status, _seconds(response.headers.get("Retry-After")), answer, fault


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Import:
    """Sends `rows` in portions, and puts aside what is rejected."""

    def __init__(self, rows: Rows, api: Api, rejected: Rejected) -> None:
        self._rows, self._api, self._rejected = rows, api, rejected
        self._shown_at = time.monotonic()
        self._sent = [index for index, name in enumerate(rows.names) if name and name != KEY]
        self._own_key = rows.names.index(KEY) if KEY in rows.names else None
        self._header = [KEY, *(rows.names[index] for index in self._sent)]
        self.done = 0
        self.notes: dict[str, None] = {}

    def run(self) -> None:
        portion: list[tuple[int, list[str]]] = []
        size = 0
        for number, cells in self._rows:
            length = sum(map(len, cells)) + sum(map(len, self._header))
            if portion and (len(portion) == ROWS or size + length > CHARACTERS):
                self._send(portion)
                portion, size = [], 0
            portion.append((number, cells))
            size += length
        if portion:
            self._send(portion)

    @property
    def is_done(self) -> bool:
        return self.done == self._rows.count

    def _send(self, portion: list[tuple[int, list[str]]]) -> None:
        self._rows.require_unchanged()
        status, answer = self._api.post_csv(self._csv(portion))
        results = (answer.get("data") or {}).get("results")
        if isinstance(results, list) and len(results) == len(portion):
            for result in results:
                cells = portion[result["index"]][1]
                if "errors" in result:
                    self._rejected.add(cells, result["errors"])
                self.notes.update(dict.fromkeys(result.get("warnings", ())))
        elif status not in (400, 413):
            raise BrokenOff(f"Leadgate answers {status} {answer.get('message', '')}")
        elif len(portion) > 1:  # find the row that is at fault
            middle = len(portion) // 2
            self._send(portion[:middle])
            self._send(portion[middle:])
            return
        else:
            self._rejected.add(portion[0][1], answer.get("errors") or {"row": [str(answer.get("message"))]})
        self.done += len(portion)
        self._show()

    def _csv(self, portion: Sequence[tuple[int, list[str]]]) -> str:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(self._header)
        for number, cells in portion:
            padded = [*cells, *[""] * (len(self._rows.names) - len(cells))]
            own_key = "" if self._own_key is None else padded[self._own_key]
            more = padded[len(self._rows.names) :]  # cells without a column: Leadgate says so
            writer.writerow(
                [own_key or self._rows.key(number), *(padded[index] for index in self._sent), *more]
            )
        return text.getvalue()

    def _show(self) -> None:
        if sys.stderr.isatty():
            print(f"\r{self.summary()} ", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._shown_at >= SHOW_SECONDS:
            self._shown_at = time.monotonic()
            say(self.summary())

    def summary(self) -> str:
        accepted = self.done - self._rejected.count
        return f"{self.done} of {self._rows.count} rows: {accepted} accepted, {self._rejected.count} rejected"


def main(arguments: Sequence[str] | None = None) -> int:
    """Imports as the command line says; returns the exit status."""
    try:
        given = _parser().parse_args(arguments)
        rows = Rows(given.file, given.delimiter, _fields(given.map))
        parts = urlsplit(given.url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.username:
            raise WrongUse("--url must be http://HOST or https://HOST, without credentials")
        api = Api(given.url, given.patience)
        api.sign_in(*_credentials())
        rejected = Rejected(rows)
    except (WrongUse, OSError) as error:
        return _ended(str(error), 2)
    except BrokenOff as error:
        return _ended(str(error), 1)
    except KeyboardInterrupt:
        return _ended("interrupted before anything was sent", 1)
    return _imported(Import(rows, api, rejected), rejected)


def _imported(work: Import, rejected: Rejected) -> int:
    fault, status = "", 0
    try:
        work.run()
    except WrongUse as error:
        fault, status = str(error), 2
    except BrokenOff as error:
        fault, status = str(error), 1
    except KeyboardInterrupt:
        fault, status = "interrupted", 1
    finally:
        rejected.close(is_complete=work.is_done)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    for note in list(work.notes)[:20]:
        say(note)
    if fault:
        return _ended(f"{fault}. {work.summary()}. Run it again: no row is stored twice.", status)
    where = f", see {rejected.path}" if rejected.count else ""
    print(f"{work.summary()}{where}")
    return 1 if rejected.count else 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        description=(__doc__ or "").split("\n")[0].split(". ")[0] + ".",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE.csv", help="UTF-8, with a header row")
    parser.add_argument("--url", required=True, help="where Leadgate is, such as https://leads.example.com")
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="COLUMN=FIELD",
        help="the column has that field; with nothing after the = it is left out; may be given many times",
    )
    parser.add_argument("--delimiter", default=",", type=_delimiter, help="between cells (default: a comma)")
    parser.add_argument(
        "--patience",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="how long to go on asking when there is no answer (default: 300)",
    )
    return parser


class _Parser(argparse.ArgumentParser):
    """A wrong use is one line."""

    def error(self, message: str) -> NoReturn:
        raise WrongUse(f"{message} (--help says more)")


def _delimiter(text: str) -> str:
    if len(text) != 1 or text in '"\r\n':
        raise argparse.ArgumentTypeError(f"{text!r} is not one character")
    return text


def _fields(mapped: Sequence[str]) -> dict[str, str]:
    """The field of each column that is mapped."""
    fields: dict[str, str] = {}
    for text in mapped:
        column, equals, field = text.rpartition("=")
        if not equals or not column:
            raise WrongUse(f"--map {text}: must be COLUMN=FIELD")
        if column in fields:
            raise WrongUse(f"--map: the column {column!r} is mapped twice")
        fields[column] = field
    return fields


def _credentials() -> tuple[str, str, str]:
    """API key, or email and password."""
    api_key, email, password = (
        os.environ.get(f"LEADGATE_{name}", "") for name in ("API_KEY", "EMAIL", "PASSWORD")
    )
    if api_key or (email and password):
        return api_key, email, password
    if not sys.stdin.isatty():
        raise WrongUse("Set LEADGATE_API_KEY, or LEADGATE_EMAIL and LEADGATE_PASSWORD, in the environment")
    api_key = "" if email else getpass.getpass("API key (empty to sign in by email): ")
    if not api_key:
        email = email or input("Email: ")
        password = getpass.getpass("Password: ")
    return api_key, email, password


def _digest(path: Path, more: str) -> str:
    digest = hashlib.sha256(more.encode())
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _pairs(names: Sequence[str], columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((names[index], columns[index]) for index in range(len(columns)))


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after and retry_after.isdigit() else None


def say(text: str) -> None:
    """A line beside the result."""
    print(text, file=sys.stderr, flush=True)


def _ended(fault: str, status: int) -> int:
    say(f"import_leads: {fault}")
    return status


if __name__ == "__main__":
    sys.exit(main())

"""What an operator sees of the log of exchanges."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import Engine

from consumer.log_writer import LogWriter
from deploy import show_logs
from deploy.show_logs import main, table_of
from shared.exchanges import Exchange
from tests.factories import make_exchange
from tests.system.running import free_ports

Output = pytest.CaptureFixture[str]


@pytest.fixture
def database(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The database that the environment names."""
    monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string(hide_password=False))
    return engine


@pytest.fixture
def sqlite(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The same, where the kind of database does not matter."""
    monkeypatch.setenv("DATABASE_URL", sqlite_engine.url.render_as_string())
    return sqlite_engine


def log(engine: Engine, *exchanges: Exchange) -> None:
    LogWriter(lambda: pytest.fail("no queue is needed"), engine).write(exchanges)


def shown(output: Output, *words: str) -> str:
    assert main(words) == 0
    said = output.readouterr()
    assert said.err == ""
    assert "\x1b" not in said.out  # no colours: this is no terminal
    return said.out


def refused(output: Output, *words: str, status: int = 1) -> str:
    """The only line that it says."""
    assert main(words) == status
    said = output.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    return line


def test_the_last_ten_are_shown_the_newest_first(database: Engine, capsys: Output) -> None:
    log(database, *[make_exchange(request_id=f"id-{number}", endpoint=f"/e{number}") for number in range(12)])
    lines = shown(capsys, "api-logs").splitlines()
    cells = [line.split() for line in lines if "id-" in line]
    assert [line[-1] for line in cells] == [f"id-{number}" for number in range(11, 1, -1)]
    assert cells[0] == ["2026-06-01", "12:00:00", "POST", "/e11", "200", "1.2", "1", "192.0.2.1", "id-11"]


def test_errors_are_shown_apart(database: Engine, capsys: Output) -> None:
    log(database, make_exchange(request_id="good"), make_exchange(request_id="bad", status=404))
    said = shown(capsys, "api-logs-errors")
    assert "bad" in said
    assert "good" not in said


def test_one_exchange_is_shown_with_all_that_is_known(database: Engine, capsys: Output) -> None:
    body = {"status": "success", "data": {"name": "Zoë"}}
    log(
        database,
        make_exchange(request_id="mine", status=500),
        make_exchange(request_id="mine", query="strict=true", payload='{"a": [1', body=json.dumps(body)),
    )
    newest = shown(capsys, "api-request-data", "mine")
    for words in (
        "POST /api/leads?strict=true → 200",
        "2026-06-01T12:00:00",
        "user 1",
        "192.0.2.1",
        "curl/8",
    ):
        assert words in newest
    assert '\n{"a": [1\n' in newest
    assert json.dumps(body, indent=2, ensure_ascii=False) in newest
    assert "500" not in newest
    everything = shown(capsys, "api-logs-full", "ID=mine")
    assert everything.index("→ 200") < everything.index("→ 500")


def test_what_strangers_sent_does_not_steer_the_terminal(sqlite: Engine, capsys: Output) -> None:
    evil = "\x1b]0;owned\x07\x9b31m"
    log(sqlite, make_exchange(request_id="x", endpoint=evil, user_agent=evil, payload=evil, body=f'["{evil}'))
    for said in (shown(capsys, "api-logs"), shown(capsys, "api-request-data", "x")):
        assert "\\x1b]0;owned\\x07\\x9b31m" in said
        assert "\x9b" not in said


def test_in_eighty_columns_the_request_ids_are_whole(sqlite: Engine) -> None:
    request_id = "4b01cff6738b493ca587f4b1a96c2fa5"
    log(sqlite, make_exchange(request_id=request_id, endpoint="/admin/api/user/12/access_tokens", status=503))
    rows = show_logs.find(show_logs.read_settings(), {}, 10)
    console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system="standard")
    console.print(table_of(rows, console.width))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert request_id in said
    assert "/admin/api/user/12/…" in said
    assert "\x1b[31m" in said  # a 503 is red


def test_who_names_no_request_id_is_asked_for_it(
    sqlite: Engine, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(sqlite, make_exchange(request_id="old"), make_exchange(request_id="new"))
    assert "ID=<request id>" in refused(capsys, "api-request-data", status=2)
    terminal = io.StringIO("old\n\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    for expected in ("old", "new"):  # the second time nothing is typed: the newest
        assert main(["api-request-data", ""]) == 0
        said = capsys.readouterr()
        assert said.err == "Request id (empty for the newest): "
        assert f"request id  {expected}" in said.out


def test_nothing_to_show_is_one_line(sqlite: Engine, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(capsys, "api-logs") == "No API exchange is logged yet"
    assert refused(capsys, "api-logs-errors") == "No API exchange that ended in an error is logged yet"
    assert (
        refused(capsys, "api-logs-full", "no\x1b") == "No API exchange is logged with the request id no\\x1b"
    )
    monkeypatch.setenv("API_LOG", "off")
    assert refused(capsys, "api-logs") == "No API exchange is logged (API_LOG is off)"


def test_a_database_that_cannot_be_read_is_one_line(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/none.sqlite3")
    assert (
        refused(capsys, "api-logs") == f"There is no database at {tmp_path}/none.sqlite3: `make run` makes it"
    )
    assert not (tmp_path / "none.sqlite3").exists()
    (tmp_path / "none.sqlite3").touch()
    assert "no such table" in refused(capsys, "api-logs")
    [port] = free_ports(1)
    monkeypatch.setenv("DATABASE_URL", f"mysql+pymysql://lead:s3cret@127.0.0.1:{port}/leads")
    line = refused(capsys, "api-logs")
    assert f"mysql+pymysql://lead:***@127.0.0.1:{port}/leads cannot be read" in line

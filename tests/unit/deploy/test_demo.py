"""The demo against a small API of its own: it believes only what it finds in the list."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from deploy import demo
from deploy.api_connection import pause_of
from deploy.queryable_timer import WATCHERS

HEADER = "firstName,lastName,email,phone,dateOfBirth,verticals,source\n"


class Api(ThreadingHTTPServer):
    """Plays the API. What becomes of a lead is said by its email: bad@, hidden@, double@, busy@, broken@ …"""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.lock = threading.Lock()
        self.stored: list[str] = []
        self.posts: list[tuple[str, str]] = []
        self.connections = 0
        self.keeps_alive = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """What the API answers."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self.api = cast(Api, self.server)
        with self.api.lock:
            self.api.connections += 1

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def answer(self, status: int, body: dict[str, Any], retry_after: str = "") -> None:
        content = json.dumps({"message": "in words"} | body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = not self.api.keeps_alive

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/api/login_check":
            known = body["password"] == "password123" and body["email"].endswith("@example.com")
            return self.answer(*(200, {"token": body["email"]}) if known else (401, {}))
        assert self.path == "/api/leads"
        assert self.headers["Authorization"] == "Bearer test@example.com"
        name = body.get("email", "").split("@")[0]
        with self.api.lock:
            self.api.posts.append((name, self.headers["Idempotency-Key"]))
            tries = [post[0] for post in self.api.posts].count(name)
        return self.take(name, tries)

    def take(self, name: str, tries: int) -> None:
        lead_id = f"id-{name}"
        if name == "broken":
            return self.answer(500, {})
        if name == "silent":
            self.close_connection = True
            return None
        if name == "busy" and tries < 3:
            return self.answer(503, {}, retry_after="0")
        if not name or name == "bad":
            return self.answer(400, {"errors": {"email": ["This is no address"], "phone": ["Nor is [this]"]}})
        with self.api.lock:
            self.api.stored.append("id-other" if name == "hidden" else lead_id)
            self.api.stored.extend(["id-other"] if name == "double" else [])
        return self.answer(201, {"data": {"id": lead_id, "receivedAt": "2025-01-01T00:00:00.000000Z"}})

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        stored = self.api.stored
        if url.path != "/api/leads":
            return self.answer(200 if url.path.removeprefix("/api/leads/") in stored else 404, {})
        assert self.headers["Authorization"] == "Bearer admin@example.com"
        query = parse_qs(url.query)
        limit, page = int(query["limit"][0]), int(query.get("page", ["1"])[0])
        newest = list(reversed(stored))[(page - 1) * limit : page * limit]
        items = [{"id": lead_id} for lead_id in newest]
        return self.answer(200, {"data": {"items": items, "pagination": {"total": len(stored)}}})


@pytest.fixture
def api() -> Iterator[Api]:
    for _ in range(50):
        try:
            server = Api(random.randrange(20_000, 32_000))
            break
        except OSError:
            continue
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def run_demo(api: Api, path: Path, names: list[str], *options: str) -> Result:
    """The demo with a row for each name, which is the local part of its email."""
    rows = [f"Zoë,Groß,{name}@example.org,+4912345,1980-01-31,a|b,fair\n" for name in names]
    file = path / "leads.csv"
    file.write_text(HEADER + "".join(rows), encoding="utf-8")
    arguments = ["--url", api.url, "--csv", str(file), *options]
    return CliRunner(env={"FORCE_COLOR": None, "COLUMNS": "80"}).invoke(demo.main, arguments)


def many(count: int) -> list[str]:
    return [f"lead{number}" for number in range(count)]


def test_agreeing_counts_end_well(api: Api, tmp_path: Path) -> None:
    api.stored.extend(["id-of-earlier-days"] * 3)
    result = run_demo(api, tmp_path, ["bad", *many(250), "bad"])
    assert result.exit_code == 0, result.output
    cells = [line.split("│") for line in result.output.splitlines() if line.startswith("│")]
    counts = {label.strip(): value.strip() for _, label, value, _ in cells}
    assert counts["rows read"] == "252"
    assert counts["accepted"] == "250"
    assert counts["rejected"] == "2"
    assert counts["email: This is no address"] == "2"
    assert counts["phone: Nor is [this]"] == "2"
    assert counts["stored (listed by the admin service)"] == "250"
    assert float(counts["acceptance latency, p95, ms"]) > 0


def test_output_is_plain_and_narrow_without_a_terminal(api: Api, tmp_path: Path) -> None:
    result = run_demo(api, tmp_path, many(3))
    assert "\x1b" not in result.output
    assert "\r" not in result.output
    assert max(len(line) for line in result.output.splitlines() if line.startswith("│")) <= 80


def test_an_accepted_lead_that_is_never_listed_is_named(api: Api, tmp_path: Path) -> None:
    result = run_demo(api, tmp_path, ["hidden", *many(5)], "--wait", "0.2")
    assert result.exit_code == 1
    error = "Error: 6 accepted, but 5 listed (missing: row 1 as id-hidden)"
    assert result.output.splitlines()[-1] == error


def test_one_id_for_two_leads_is_told(api: Api, tmp_path: Path) -> None:
    result = run_demo(api, tmp_path, ["twin", "twin"], "--wait", "0.2")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "Error: 2 accepted, but 1 listed (an id was given twice)"


def test_a_total_that_grew_too_much_is_told(api: Api, tmp_path: Path) -> None:
    result = run_demo(api, tmp_path, ["double", *many(5)])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "Error: 6 accepted, but the total grew by 7"


def test_503_is_tried_again_under_the_same_key(api: Api, tmp_path: Path) -> None:
    result = run_demo(api, tmp_path, ["busy", *many(3)])
    assert result.exit_code == 0, result.output
    assert len([name for name, _ in api.posts if name == "busy"]) == 3
    assert len({key for name, key in api.posts if name == "busy"}) == 1
    assert len({key for _, key in api.posts}) == 4


@pytest.mark.parametrize("name", ["broken", "silent"])
def test_a_row_without_a_clear_answer_fails_the_demo_and_is_not_sent_again(
    api: Api, tmp_path: Path, name: str
) -> None:
    result = run_demo(api, tmp_path, [*many(4), name])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("Error: 5 rows, but 4 accepted + 0 rejected (row 5: ")
    assert len([posted for posted, _ in api.posts if posted == name]) == 1


def test_a_connection_closed_while_idle_is_opened_anew(api: Api) -> None:
    api.keeps_alive = False
    connection = demo.Connection(api.url, "admin@example.com")
    for _ in range(3):
        assert connection.ask("GET", "/api/leads?limit=1").status == 200
        time.sleep(0.05)
    connection.close()
    assert api.connections == 3


def test_connections_are_kept(api: Api, tmp_path: Path) -> None:
    assert run_demo(api, tmp_path, many(100)).exit_code == 0
    assert api.connections <= 2 + 1 + demo.POSTERS + WATCHERS


def test_nothing_accepted_is_no_success(api: Api, tmp_path: Path) -> None:
    result = run_demo(api, tmp_path, ["bad"])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "Error: no lead was accepted"


def test_a_refused_login_is_one_line(api: Api, tmp_path: Path) -> None:
    result = run_demo(api, tmp_path, ["a"], "--email", "stranger@example.net")
    assert result.exit_code == 1
    assert result.output.splitlines()[1:] == ["Error: POST /api/login_check: 401 in words"]


def test_an_api_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    file.write_text(HEADER)
    result = CliRunner().invoke(demo.main, ["--url", "http://127.0.0.1:9", "--csv", str(file)])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("Error: http://127.0.0.1:9: ")


def test_empty_cells_are_left_out_of_the_lead() -> None:
    row = {
        "firstName": "Łucja",
        "lastName": "",
        "verticals": "a|b",
        "source": "fair",
        "campaign": "",
        "comment": "",
    }
    assert demo.lead_of(row) == {
        "firstName": "Łucja",
        "verticals": ["a", "b"],
        "additionalData": {"source": "fair"},
    }
    assert demo.lead_of({"email": "a@example.org", "verticals": "", "source": ""}) == {
        "email": "a@example.org"
    }


@pytest.mark.parametrize("content", ["a,b\n1,2,3\n", 'a\n"x\n', "a\n\udcff\n"])
def test_a_broken_csv_is_one_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "broken.csv"
    file.write_text(content, encoding="utf-8", errors="surrogateescape")
    result = CliRunner().invoke(demo.main, ["--url", "http://127.0.0.1:9", "--csv", str(file)])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: --csv {file}: ")
    assert result.output.count("\n") == 1


def test_percentile_takes_the_nearest_rank() -> None:
    values = [float(value) for value in range(20, 0, -1)]
    assert demo.percentile(values, 50) == 10
    assert demo.percentile(values, 95) == 19
    assert demo.percentile([7.0], 95) == 7
    assert demo.percentile([], 95) is None


@pytest.mark.parametrize(
    ("header", "pause"),
    [("2", 2.0), ("0", 0.0), (None, None), ("", None), ("-1", None), ("nan", None), ("999", None)],
)
def test_only_a_sane_retry_after_is_waited_for(header: str | None, pause: float | None) -> None:
    assert pause_of(header) == pause

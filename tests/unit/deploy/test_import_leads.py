"""The partner's import, against a server that does what Leadgate does only on a bad day."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.import_leads import main

Answer = tuple[int, dict[str, str], dict[str, Any]]
Rows = list[list[str]]
TEXT = "email,city\na@b.co,Bonn\nc@d.co,\nc@d.co,\n"


class Server:
    """Keeps what is posted. Answers with `answers` first, then accepts every row; None breaks off."""

    def __init__(self) -> None:
        self.answers: list[Answer | None] = []
        self.judge: Callable[[list[str]], dict[str, list[str]]] = lambda row: {}
        self.batches: list[Rows] = []
        self.logins = 0
        self.credentials: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = outer.answer(self.path, body, headers)
                if answer is None:
                    return
                content = json.dumps(answer[2]).encode()
                self.send_response(answer[0])
                for name, value in {**answer[1], "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def answer(self, path: str, body: str, headers: dict[str, str]) -> Answer | None:
        if path == "/api/login_check":
            self.logins += 1
            return 200, {}, {"token": f"token {self.logins}", "expiresIn": 3600}
        self.credentials.append(headers.get("x-auth-token") or headers["authorization"])
        self.batches.append(list(csv.reader(io.StringIO(body))))
        if self.answers:
            return self.answers.pop(0)
        faults = [self.judge(row) for row in self.batches[-1][1:]]
        results = [
            {"index": index, "errors": fault} if fault else {"index": index, "id": "x"}
            for index, fault in enumerate(faults)
        ]
        return 207, {}, {"data": {"results": results}}

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Credentials in the environment; pauses are noted and not made."""
    for name in ("EMAIL", "PASSWORD"):
        monkeypatch.delenv(f"LEADGATE_{name}", raising=False)
    monkeypatch.setenv("LEADGATE_API_KEY", "the key")
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "leads.csv"
    path.write_text(TEXT)
    return path


def run(server: Server, file: Path, *more: str) -> int:
    return main([str(file), "--url", server.url, *more])


def keys(rows: Rows) -> list[str]:
    return [row[rows[0].index("idempotencyKey")] for row in rows[1:]]


def test_every_row_is_sent_under_a_key_of_its_own(
    server: Server, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(server, file) == 0
    (rows,) = server.batches
    assert rows[0] == ["idempotencyKey", "email", "city"]
    assert [row[1:] for row in rows[1:]] == [["a@b.co", "Bonn"], ["c@d.co", ""], ["c@d.co", ""]]
    assert len(set(keys(rows))) == 3
    assert capsys.readouterr().out == "3 of 3 rows: 3 accepted, 0 rejected\n"
    assert server.credentials == ["the key"]
    assert list(file.parent.iterdir()) == [file]


def test_the_same_file_has_the_same_keys_wherever_it_lies_and_another_file_has_others(
    server: Server, file: Path, tmp_path: Path
) -> None:
    copy, changed = tmp_path / "copy.csv", tmp_path / "changed.csv"
    copy.write_text(TEXT)
    changed.write_text(TEXT + "e@f.co,\n")
    for path in (file, copy, changed):
        assert run(server, path) == 0
    assert run(server, file, "--map", "city=zipCode") == 0
    first, of_copy, of_changed, mapped = map(keys, server.batches)
    assert first == of_copy
    assert len({*first, *of_changed, *mapped}) == 3 + 4 + 3


def test_a_key_in_the_file_is_kept_and_an_empty_one_is_filled(server: Server, file: Path) -> None:
    file.write_text("email,id\na@b.co,mine\nc@d.co,\n")
    assert run(server, file, "--map", "id=idempotencyKey") == 0
    first, second = keys(server.batches[0])
    assert first == "mine"
    assert second.startswith("import-")
    assert server.batches[0][0] == ["idempotencyKey", "email"]


def test_columns_are_mapped_or_left_out(server: Server, file: Path) -> None:
    file.write_text("E-Mail, Ort ,a=b,intern\na@b.co,Bonn,1,x\n")
    maps = ("E-Mail=email", "Ort=city", "a=b=utm", "intern=")
    assert run(server, file, *(part for text in maps for part in ("--map", text))) == 0
    rows = server.batches[0]
    assert [row[1:] for row in rows] == [["email", "city", "utm"], ["a@b.co", "Bonn", "1"]]


def test_rejected_rows_are_put_aside_with_reasons_by_column(
    server: Server, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes("\ufeffMail;city\na@b.co;Bonn\nx;\n\ny;Köln;more\n".encode())
    server.judge = lambda row: (
        {} if "@" in row[1] else {"email": ["No email.", "None."], "phone": ["Missing."]}
    )
    for _ in range(2):
        assert run(server, file, "--map", "Mail=email", "--delimiter", ";") == 1
        rejected = file.parent / "leads.rejected.csv"
        assert rejected.read_bytes().decode("utf-8-sig").splitlines() == [
            "Mail;city;rejected_because",
            'x;;"Mail: No email. None.; phone: Missing."',
            'y;Köln;more;"Mail: No email. None.; phone: Missing."',
        ]
    assert f"3 of 3 rows: 1 accepted, 2 rejected, see {rejected}" in capsys.readouterr().out
    rejected.write_text("email,city,rejected_because\nx@y.co,Bonn,No email\n")
    assert run(server, rejected) == 0
    assert server.batches[-1][0] == ["idempotencyKey", "email", "city"]
    assert sorted(path.name for path in file.parent.iterdir()) == ["leads.csv", "leads.rejected.csv"]


def test_what_an_earlier_import_rejected_is_gone_once_nothing_is(server: Server, file: Path) -> None:
    server.judge = lambda row: {"email": ["No."]}
    assert run(server, file) == 1
    server.judge = lambda row: {}
    assert run(server, file) == 0
    assert list(file.parent.iterdir()) == [file]


def test_it_waits_when_told_to_and_sends_the_same_again(
    server: Server, file: Path, pauses: list[float]
) -> None:
    message = {"message": "not now"}
    server.answers = [
        (429, {"Retry-After": "7"}, message),
        (503, {"Retry-After": "5"}, message),
        (502, {}, message),
        None,
    ]
    assert run(server, file) == 0
    assert pauses == [7, 5, 4, 8]
    assert len(server.batches) == 5
    assert all(batch == server.batches[0] for batch in server.batches)


def test_it_gives_up_in_one_line_and_leaves_what_was_rejected_before(
    server: Server, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rejected = file.parent / "leads.rejected.csv"
    rejected.write_text("of an earlier import")
    server.answers = [(503, {"Retry-After": "9"}, {"message": "not now"})]
    assert run(server, file, "--patience", "5") == 1
    said = capsys.readouterr().err
    assert re.fullmatch(r"import_leads: http\S+: 503 not now. 0 of 3 rows: .* Run it again: .*\n", said)
    assert rejected.read_text() == "of an earlier import"
    assert len(list(file.parent.iterdir())) == 2


def test_a_batch_that_is_refused_as_a_whole_is_halved_until_the_row_is_found(
    server: Server, file: Path
) -> None:
    refusal: Answer = (413, {}, {"message": "too long"})
    server.answers = [refusal, refusal]
    assert run(server, file) == 1
    sizes = [len(batch) - 1 for batch in server.batches]
    assert sizes == [3, 1, 2]
    assert (file.parent / "leads.rejected.csv").read_text().splitlines()[1:] == ["a@b.co,Bonn,row: too long"]


def test_a_long_file_is_sent_in_portions(server: Server, file: Path) -> None:
    file.write_text("email,city\n" + "a@b.co,Bonn\n" * 1200 + f"a@b.co,{'x' * 100_000}\n" * 25)
    assert run(server, file) == 0
    assert [len(batch) - 1 for batch in server.batches] == [500, 500, 210, 10, 5]
    sent = [key for batch in server.batches for key in keys(batch)]
    assert len(set(sent)) == 1225


def test_it_signs_in_by_email_and_anew_when_the_token_has_expired(
    server: Server, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LEADGATE_API_KEY")
    monkeypatch.setenv("LEADGATE_EMAIL", "test@example.com")
    monkeypatch.setenv("LEADGATE_PASSWORD", "password123")
    server.answers = [(401, {}, {"message": "Expired JWT Token"})]
    assert run(server, file) == 0
    assert server.credentials == ["Bearer token 1", "Bearer token 2"]


def test_a_file_that_changes_meanwhile_is_not_sent_any_further(
    server: Server, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("email\n" + "a@b.co\n" * 501)

    def change(row: list[str]) -> dict[str, list[str]]:
        file.write_text(TEXT)
        return {}

    server.judge = change
    assert run(server, file) == 1
    assert "has changed since the import began" in capsys.readouterr().err
    assert len(server.batches) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((401, {}, {"message": "Invalid API key"}), "The credentials are not accepted: Invalid API key"),
        ((403, {}, {"message": "Access denied"}), "The credentials are not accepted: Access denied"),
        ((301, {"Location": "https://x.example/"}, {}), "leads to https://x.example/: use that as --url"),
    ],
)
def test_what_the_partner_must_change_is_said_in_one_line(
    server: Server, file: Path, capsys: pytest.CaptureFixture[str], answer: Answer, words: str
) -> None:
    server.answers = [answer]
    assert run(server, file) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (None, [], "No such file"),
        (b"", [], "no header"),
        (b"\n\n", [], "no header"),
        (b"email\n\xff\n", [], "not UTF-8"),
        (b'email\n"a\n', [], "is no CSV"),
        (b"email,,city\n", [], "column 2 has no name"),
        (b"email,email\n", [], "two columns are 'email'"),
        (b"email,mail\n", ["--map", "mail=email"], "two columns are 'email'"),
        (b"email\n", ["--map", "mail"], "must be COLUMN=FIELD"),
        (b"email\n", ["--map", "=mail"], "must be COLUMN=FIELD"),
        (b"email\n", ["--map", "mail=email"], "has no column 'mail'; it has email"),
        (b"email\n", ["--map", "email=a", "--map", "email=b"], "mapped twice"),
        (b"email\n", ["--delimiter", "ab"], "not one character"),
        (b"email\n", ["--patience", "long"], "--patience"),
        (b"email\n", ["--url", "ftp://example.com"], "--url must be"),
        (b"email\n", ["--url", "leads.example.com"], "--url must be"),
        (b"email\n", ["--surprise"], "--help says more"),
    ],
)
def test_a_wrong_use_is_one_line_and_nothing_is_sent(
    server: Server,
    file: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    arguments: list[str],
    words: str,
) -> None:
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert run(server, file, *arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(rf"import_leads: .*{re.escape(words)}.*\n", said.err)
    assert server.batches == []


def test_without_credentials_and_without_a_terminal_it_says_what_to_set(
    server: Server,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("LEADGATE_API_KEY")
    monkeypatch.setenv("LEADGATE_EMAIL", "test@example.com")
    assert run(server, file) == 2
    assert "LEADGATE_API_KEY" in capsys.readouterr().err


def test_a_file_without_rows_is_imported_already(
    server: Server, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("email\n")
    assert run(server, file) == 0
    assert capsys.readouterr().out == "0 of 0 rows: 0 accepted, 0 rejected\n"
    assert server.batches == []

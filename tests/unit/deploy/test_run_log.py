"""What the running system says is kept in a small file, and shown to whoever asks for it."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest

from deploy import run_log
from deploy.run_log import RunLog, follow, old_of, path_in
from tests.waiting import wait_until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.log"


def test_it_lies_under_data_dir(tmp_path: Path) -> None:
    assert path_in(tmp_path, {}) == path_in(tmp_path, {"DATA_DIR": ""}) == tmp_path / "var" / "run.log"
    assert path_in(tmp_path, {"DATA_DIR": "/data"}) == Path("/data/run.log")


def test_what_is_shown_is_kept_too(path: Path) -> None:
    shown = io.StringIO()
    log = RunLog(shown, path)
    log.write("ingest | Zoë\n")
    log.flush()
    log.close()
    assert shown.getvalue() == path.read_text("utf-8") == "ingest | Zoë\n"


def test_a_file_that_cannot_be_written_stops_nothing(path: Path) -> None:
    shown = io.StringIO()
    RunLog(shown, path / "below" / "nothing").write("line\n")
    assert shown.getvalue() == "line\n"


def test_of_a_long_run_the_end_is_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "MAX_BYTES", 100)
    log = RunLog(io.StringIO(), path)
    for number in range(100):
        log.write(f"line {number}\n")
    log.close()
    assert path.stat().st_size <= 100
    assert old_of(path).stat().st_size <= 100
    assert path.read_text().endswith("line 99\n")
    shown = io.StringIO()
    assert follow(path, shown)
    numbers = [int(line.split()[1]) for line in shown.getvalue().splitlines()]
    assert numbers == list(range(numbers[0], 100))
    assert len(numbers) > 10


def test_of_a_system_that_has_stopped_the_last_lines_are_shown(path: Path) -> None:
    path.write_text("".join(f"line {number}\n" for number in range(1000)))
    shown = io.StringIO()
    assert follow(path, shown)
    assert shown.getvalue().splitlines() == [f"line {number}" for number in range(800, 1000)]


def test_what_comes_is_shown_until_the_system_stops_also_in_a_new_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "MAX_BYTES", 20)
    monkeypatch.setattr(run_log, "POLL_SECONDS", 0.01)
    log, shown = RunLog(io.StringIO(), path), io.StringIO()
    log.write("first\n")
    follower = threading.Thread(target=follow, args=(path, shown))
    follower.start()
    for line in ("second\n", "third, anew\n", "last\n"):
        wait_until(lambda: shown.getvalue() == so_far(path), "all is shown so far")
        log.write(line)
    log.close()
    follower.join(10)
    assert not follower.is_alive()
    assert shown.getvalue() == "first\nsecond\nthird, anew\nlast\n"


def so_far(path: Path) -> str:
    old = old_of(path)
    return (old.read_text() if old.exists() else "") + path.read_text()


def test_where_there_is_no_log_nothing_is_shown(path: Path) -> None:
    assert not follow(path, io.StringIO())

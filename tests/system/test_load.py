"""The load targets put load on a running system and tell whether it held."""

from __future__ import annotations

import re

from tests.system.running import System


def test_a_run_accounts_for_every_lead(embedded_system: System) -> None:
    embedded_system.start()
    status, output, errors = embedded_system.run_to_end("load-test-spike", DURATION="6s")
    marks = marks_of_thresholds(output)
    assert set(marks) == {"requests sent", "errors", "p95 of answers", "accepted leads listed"}, (
        output + errors
    )
    assert (marks["errors"], marks["accepted leads listed"]) == ("✓", "✓"), output + errors
    # How fast a machine is that runs other tests too is none of this test's business.
    assert status == int("✗" in marks.values())
    report = embedded_system.folder / "data" / "load" / "load-test-spike.html"
    assert "/api/tracking/" in report.read_text("utf-8")


def test_the_most_that_is_taken_is_stored_too(embedded_system: System) -> None:
    embedded_system.start()
    status, output, errors = embedded_system.run_to_end("load-test-max", DURATION="6s")
    assert marks_of_thresholds(output) == {"errors": "✓", "accepted leads listed": "✓"}, output + errors
    assert status == 0
    rates = re.findall(r"([\d,]+) leads a second accepted, (\d+) a request", output)
    assert [size for _, size in rates] == ["1", "500"]
    assert all(int(rate.replace(",", "")) > 0 for rate, _ in rates), output


def marks_of_thresholds(output: str) -> dict[str, str]:
    return {about: mark for mark, about in re.findall(r"│ ([✓✗]) │ (\w[\w ]*?) +│", output)}


def test_a_system_that_is_not_running_is_one_line(embedded_system: System) -> None:
    status, _, errors = embedded_system.run_to_end("load-test", DURATION="2s")
    assert status == 1
    assert f"http://127.0.0.1:{embedded_system.port} does not answer" in errors
    assert "Traceback" not in errors


def test_a_duration_that_is_none_is_one_line(embedded_system: System) -> None:
    status, _, errors = embedded_system.run_to_end("load-test-sustained", DURATION="soon")
    assert status == 2
    assert errors.startswith("DURATION: got 'soon'")
    assert errors.count("\n") == 1

"""The demo shows the system at work, and leaves nothing behind."""

from __future__ import annotations

import re

from tests.system.running import System


def number(output: str, label: str) -> int:
    """The number beside a label of the table."""
    [found] = re.findall(rf"^\W*{re.escape(label)}\W+([\d,]+)\W*$", output, re.MULTILINE)
    return int(found.replace(",", ""))


def test_the_demo_shows_counts_that_agree(own_system: System) -> None:
    status, output, errors = own_system.run_to_end("demo")
    assert (status, errors) == (0, ""), output
    assert number(output, "rows read") >= 1000
    assert number(output, "accepted") + number(output, "rejected") == number(output, "rows read")
    assert number(output, "stored (listed by the admin service)") == number(output, "accepted")
    for label in ("leads/s", "p50, ms", "p95, ms", "accepted to queryable"):
        assert label in output
    assert not (own_system.folder / "data").exists()

"""When a run counts as good."""

from dataclasses import replace

import pytest

from tests.load.verdict import Run, checks

GOOD = Run(
    planned=1000,
    requests=1000,
    failures=0,
    p95_ms=20,
    accepted=frozenset("abc"),
    listed=frozenset("abcd"),
)


def missed(run: Run) -> list[str]:
    return [check.about for check in checks(run) if not check.holds]


def test_a_good_run_misses_nothing() -> None:
    assert missed(GOOD) == []


@pytest.mark.parametrize(
    ("run", "threshold"),
    [
        (replace(GOOD, requests=899), "requests sent"),
        (replace(GOOD, failures=1), "errors"),
        (replace(GOOD, p95_ms=100), "p95 of answers"),
        (replace(GOOD, listed=frozenset("ab")), "accepted leads listed"),
        (replace(GOOD, accepted=frozenset()), "accepted leads listed"),
    ],
)
def test_a_run_that_is_not_good_misses_one_threshold(run: Run, threshold: str) -> None:
    assert missed(run) == [threshold]


def test_a_run_without_requests_is_not_good() -> None:
    assert "errors" in missed(replace(GOOD, requests=0))


def test_one_that_sends_all_that_is_taken_is_asked_for_no_pace() -> None:
    assert missed(replace(GOOD, planned=None, requests=3, p95_ms=900)) == []
    assert missed(replace(GOOD, planned=None, listed=frozenset("ab"))) == ["accepted leads listed"]

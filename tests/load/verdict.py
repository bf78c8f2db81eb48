"""Whether a run is good enough, and why not."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

MOST_ERRORS = 0.001
SLOWEST_P95_MS = 100.0
LEAST_SENT = 0.9  # a generator that cannot keep up has not put the load on that was promised


@dataclass(frozen=True)
class Run:
    """What was sent and what became of it; `planned` is how many requests the profile asks for, None if it
    asks for as many as are taken.
    """

    planned: float | None
    requests: int
    failures: int
    p95_ms: float
    accepted: Set[str]
    listed: Set[str]


@dataclass(frozen=True)
class Check:
    """One threshold: what it is about, what it asks for, what was seen."""

    about: str
    asked: str
    seen: str
    holds: bool


def checks(run: Run) -> list[Check]:
    """Every threshold of a run; what waits in line because more was sent than is taken may be slow."""
    errors = run.failures / run.requests if run.requests else 1.0
    missing = len(run.accepted - run.listed)
    return [
        *(_kept_its_pace(run, run.planned) if run.planned is not None else []),
        Check("errors", f"below {MOST_ERRORS:.1%}", f"{errors:.2%}", errors < MOST_ERRORS),
        Check(
            "accepted leads listed",
            f"all {len(run.accepted):,}",
            f"{len(run.accepted & run.listed):,}",
            missing == 0 and bool(run.accepted),
        ),
    ]


def _kept_its_pace(run: Run, planned: float) -> list[Check]:
    return [
        Check(
            "requests sent",
            f"at least {LEAST_SENT:.0%} of {planned:,.0f}",
            f"{run.requests:,}",
            run.requests >= LEAST_SENT * planned,
        ),
        Check(
            "p95 of answers",
            f"below {SLOWEST_P95_MS:.0f} ms",
            f"{run.p95_ms:.0f} ms",
            run.p95_ms < SLOWEST_P95_MS,
        ),
    ]

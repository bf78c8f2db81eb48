"""Whether a run is good enough, and why not."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

MOST_ERRORS = 0.001
SLOWEST_P95_MS = 100.0
LEAST_SENT = 0.9  # a generator that cannot keep up has not put the load on that was promised


@dataclass(frozen=True)
class Run:
    """What was sent and what became of it; `planned` is how many requests the profile asks for."""

    planned: float
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
    """Every threshold of a run."""
    errors = run.failures / run.requests if run.requests else 1.0
    missing = len(run.accepted - run.listed)
    return [
        Check(
            "requests sent",
            f"at least {LEAST_SENT:.0%} of {run.planned:,.0f}",
            f"{run.requests:,}",
            run.requests >= LEAST_SENT * run.planned,
        ),
        Check("errors", f"below {MOST_ERRORS:.1%}", f"{errors:.2%}", errors < MOST_ERRORS),
        Check(
            "p95 of answers",
            f"below {SLOWEST_P95_MS:.0f} ms",
            f"{run.p95_ms:.0f} ms",
            run.p95_ms < SLOWEST_P95_MS,
        ),
        Check(
            "accepted leads listed",
            f"all {len(run.accepted):,}",
            f"{len(run.accepted & run.listed):,}",
            missing == 0 and bool(run.accepted),
        ),
    ]

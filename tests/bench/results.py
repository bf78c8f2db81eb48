"""What a benchmark found, and the files that keep it: one JSON a section in docs/benchmarks/."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path("docs") / "benchmarks"

AT_MOST = "at most"
AT_LEAST = "at least"


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of a table: the median of some rounds with the lowest and the highest of them.

    `name` is what pictures and other code find it by, `about` what the page calls it. `wants` (AT_MOST or
    AT_LEAST) says on which side of `target` it should be; a measure without target is there to be known.
    Of many alike, `group` is what they are together: the table of targets has one line for them.
    """

    name: str
    about: str
    value: float
    unit: str
    low: float
    high: float
    rounds: int = 1
    target: float | None = None
    wants: str = AT_MOST
    group: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the median is on the right side of the target; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.wants == AT_MOST else self.value >= self.target


def measure(
    name: str,
    about: str,
    unit: str,
    values: Sequence[float],
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    group: str = "",
) -> Measure:
    """The Measure of `values`, one a round, with a target if one is given."""
    return Measure(
        name,
        about,
        statistics.median(values),
        unit,
        min(values),
        max(values),
        len(values),
        at_least if at_most is None else at_most,
        AT_MOST if at_least is None else AT_LEAST,
        group,
    )


@dataclass(frozen=True, slots=True)
class Findings:
    """The rows of a section. `profiles`: by heading, what a cost is made of, each layer with its µs."""

    measures: list[Measure]
    profiles: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Section:
    """What one benchmark found: a file of its own, so that each can be measured anew by itself.

    `about` says how it was measured, in Markdown; `profiles` as in Findings; `taken` is the day and
    the commit, `machine` what it was measured on (machine.py).
    """

    name: str
    title: str
    about: str
    measures: tuple[Measure, ...]
    made_by: str
    taken: str
    machine: dict[str, str]
    profiles: dict[str, dict[str, float]] = field(default_factory=dict)


def save(section: Section, folder: Path = FOLDER) -> Path:
    """Writes the section's file in place of an earlier one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{section.name}.json"
    path.write_text(json.dumps(asdict(section), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return path


def load(folder: Path = FOLDER) -> list[Section]:
    """Every section that is kept, by name."""
    return [_section(json.loads(path.read_text("utf-8"))) for path in sorted(folder.glob("*.json"))]


def find(sections: Iterable[Section], name: str) -> Measure | None:
    """The measure of that name, wherever it is."""
    return next((row for section in sections for row in section.measures if row.name == name), None)


def _section(body: dict[str, Any]) -> Section:
    return Section(**body | {"measures": tuple(Measure(**row) for row in body["measures"])})

"""How much load when: what the make targets `load-test…` send."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Stage:
    """So many users at once, for that many seconds; each request has that many leads."""

    seconds: float
    users: int
    leads: int = 1


@dataclass(frozen=True)
class Profile:
    """Stages one after the other, in which every user sends a request each `pace` seconds; with a pace of 0
    as soon as the last one is answered.
    """

    stages: tuple[Stage, ...]
    pace: float = 1.0

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    @property
    def requests(self) -> float | None:
        """How many requests all stages together send, if nothing holds them up; None where answers set the
        pace.
        """
        if not self.pace:
            return None
        return sum(stage.seconds * stage.users for stage in self.stages) / self.pace

    def stage_at(self, second: float) -> Stage | None:
        """The stage so many seconds after the start; None once all are over."""
        for stage in self.stages:
            if second < stage.seconds:
                return stage
            second -= stage.seconds
        return None

    def lasting(self, seconds: float) -> Profile:
        """The same load in that many seconds, each stage shortened or stretched alike."""
        factor = seconds / self.seconds
        return replace(self, stages=tuple(replace(s, seconds=s.seconds * factor) for s in self.stages))


PROFILES = {
    "complete": Profile((Stage(15, 5), Stage(60, 17), Stage(30, 30), Stage(30, 17))),
    "sustained": Profile((Stage(300, 20),), pace=1.2),  # 1,000 a minute
    "spike": Profile((Stage(60, 17), Stage(60, 30), Stage(60, 17))),
    "max": Profile((Stage(30, 32), Stage(30, 4, leads=500)), pace=0),
}

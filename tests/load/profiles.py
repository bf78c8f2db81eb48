"""How much load when: what the make targets `load-test…` send."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Stage:
    """So many users at once, for that many seconds."""

    seconds: float
    users: int


@dataclass(frozen=True)
class Profile:
    """Stages one after the other, in which every user sends a request each `pace` seconds."""

    stages: tuple[Stage, ...]
    pace: float = 1.0

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    @property
    def requests(self) -> float:
        """How many requests all stages together send, if nothing holds them up."""
        return sum(stage.seconds * stage.users for stage in self.stages) / self.pace

    def users_at(self, second: float) -> int | None:
        """How many users there are so many seconds after the start; None once it is over."""
        for stage in self.stages:
            if second < stage.seconds:
                return stage.users
            second -= stage.seconds
        return None

    def lasting(self, seconds: float) -> Profile:
        """The same load in that many seconds, each stage shortened or stretched alike."""
        factor = seconds / self.seconds
        return replace(self, stages=tuple(Stage(s.seconds * factor, s.users) for s in self.stages))


PROFILES = {
    "complete": Profile((Stage(15, 5), Stage(60, 17), Stage(30, 30), Stage(30, 17))),
    "sustained": Profile((Stage(300, 20),), pace=1.2),  # 1,000 a minute
    "spike": Profile((Stage(60, 17), Stage(60, 30), Stage(60, 17))),
}

"""One lead a request: our ingest beside an empty Flask app, the literal way, and FastAPI."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from tests.bench import systems
from tests.bench.leads import Leads
from tests.bench.load import Load
from tests.bench.processes import CpuClock
from tests.bench.results import Findings, Measure, measure
from tests.bench.sampling import shares_in
from tests.bench.servers import LeadsLost, Servers
from tests.bench.systems import Installation, Running, check_stored, token, wait_until_stored

WARM_SECONDS = 0.7
SECONDS = 2.0
MORE_ROUNDS = 2  # so many times those of other sections: what is compared here is close together
SETTLE_SECONDS = 10.0

TITLE = "One lead a request"
ABOUT = """64 kept connections, each lead another person; every system has one worker and its turn in each
round, while the others idle, and each round begins with another. Ours has the request log off here, as its
rivals have none, and once more on `full`, which is the default. Every answer must be 201; after each round a
consumer stores what we accepted, all of it, and the rivals' queues hold exactly what they accepted. What each
rival does and does not stands in `tests/bench/empty_flask.py`, `tests/bench/literal.py` and
`tests/bench/fastapi_rival.py`."""

OURS = "ours"
FULL = "ours_full_log"
EMPTY, LITERAL, FASTAPI = "empty_flask", "literal", "fastapi"
NAMES = {
    EMPTY: "empty Flask POST",
    OURS: "ours",
    FULL: "ours, request log on full",
    FASTAPI: "FastAPI",
    LITERAL: "the literal way",
}
APPS = {
    OURS: systems.OURS,
    FULL: systems.OURS,
    EMPTY: "tests.bench.empty_flask:app",
    FASTAPI: "tests.bench.fastapi_rival:app",
    LITERAL: "tests.bench.literal:app",
}
PROFILED = {
    OURS: "What one lead costs our web worker, by samples of its CPU",
    FULL: "What it costs with the request log on `full`",
    EMPTY: "What an empty Flask POST costs its worker, the floor of ours",
    FASTAPI: "What one lead costs FastAPI (what uvloop does outside of Python counts for what it calls next)",
}


@dataclass(frozen=True, slots=True)
class Turn:
    """What one system did in one round: CPU in µs a lead of each process, and leads a second."""

    web: float
    broker: float
    redis: float
    rate: float


def run(installation: Installation, rounds: int) -> Findings:
    """Raises LeadsLost if a lead is."""
    turns: dict[str, list[Turn]] = defaultdict(list)
    with ExitStack() as stack:
        running = {
            OURS: stack.enter_context(installation.gunicorn(APPS[OURS])),
            FULL: stack.enter_context(installation.gunicorn(APPS[FULL], API_LOG="full")),
            EMPTY: stack.enter_context(installation.gunicorn(APPS[EMPTY])),
            LITERAL: stack.enter_context(installation.gunicorn(APPS[LITERAL])),
            FASTAPI: stack.enter_context(installation.uvicorn(APPS[FASTAPI])),
        }
        leads, jwt = Leads(), token(running[OURS])
        for number in range(MORE_ROUNDS * rounds):
            stored, accepted_by_us = installation.servers.stored(), 0
            for name in rotated(list(running), number):
                turn, accepted = take_turn(installation, running[name], leads, jwt)
                turns[name].append(turn)
                if name in (OURS, FULL):
                    accepted_by_us += accepted
                elif name != EMPTY:
                    settle_rival(installation.servers, name, accepted)
            with installation.consumers():
                wait_until_stored(installation.servers, stored + accepted_by_us)
            check_stored(installation.servers, stored + accepted_by_us)
    profiles = {
        heading: profile(
            installation, name, partial(take_turn, installation, leads=leads, jwt=jwt), turns[name]
        )
        for name, heading in PROFILED.items()
    }
    return Findings(measures(turns), profiles)


def rotated(names: list[str], number: int) -> list[str]:
    """The same names, beginning with another for each of successive numbers."""
    first = number % len(names)
    return names[first:] + names[:first]


def profile(
    installation: Installation, name: str, load: Callable[[Running], object], turns: Sequence[Turn]
) -> dict[str, float]:
    """What a system's CPU of `turns` is spent on, in µs a lead, by one more turn that is sampled."""
    path = installation.folder / f"{name}.json"
    if name == FASTAPI:
        serving = installation.uvicorn("tests.bench.profiled_fastapi:app", BENCH_PROFILE=str(path))
    else:
        log = {"API_LOG": "full"} if name == FULL else {}
        app = "tests.bench.profiled_wsgi:app"
        serving = installation.gunicorn(app, BENCH_APP=APPS[name], BENCH_PROFILE=str(path), **log)
    with serving as service:
        load(service)
    return shares_in(path, (turn.web for turn in turns))


def take_turn(installation: Installation, service: Running, leads: Leads, jwt: str) -> tuple[Turn, int]:
    """Loads one service for a while; also how many leads it accepted, those of the warming up included."""
    with Load(service.port) as load:
        warm = load.run(leads.posts(jwt), seconds=WARM_SECONDS)
        clock = CpuClock({"web": service.pid, **installation.servers.pids})
        outcome = load.run(leads.posts(jwt), seconds=SECONDS)
        used = clock.used()
    micros = {name: seconds / outcome.accepted * 1e6 for name, seconds in used.items()}
    turn = Turn(
        micros["web"],
        micros.get("broker", 0.0),
        micros.get("redis", 0.0),
        outcome.accepted / outcome.elapsed,
    )
    return turn, warm.accepted + outcome.accepted


def settle_rival(servers: Servers, queue: str, accepted: int) -> None:
    """Empties a rival's queue, once it holds all that was accepted. Raises LeadsLost if it never does."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (queued := servers.queued(queue)) != accepted:
        if time.monotonic() > deadline:
            raise LeadsLost(f"{accepted} leads were accepted, but {queued} are in the queue {queue}")
        time.sleep(0.1)
    servers.purge(queue)


def measures(turns: Mapping[str, Sequence[Turn]]) -> list[Measure]:
    """The rows: the targets first, then what each system cost and did."""
    web = {name: [turn.web for turn in those] for name, those in turns.items()}
    broker = {name: [turn.broker for turn in those] for name, those in turns.items()}
    percent = [(ratio - 1) * 100 for ratio in ratios(web[FULL], web[OURS])]
    over_empty = "web-worker CPU of `POST /api/leads` ÷ an empty Flask POST"
    return [
        measure("over_empty_flask", over_empty, "×", ratios(web[OURS], web[EMPTY]), at_most=1.5),
        *(
            measure(
                f"{rival}_over_ours",
                f"{NAMES[rival]} ÷ ours, web-worker CPU",
                "×",
                ratios(web[rival], web[OURS]),
                at_least=times,
            )
            for rival, times in ((LITERAL, 4), (FASTAPI, 3))
        ),
        measure(
            "full_log", "more web-worker CPU per lead with the request log on full", "%", percent, at_most=15
        ),
        measure("broker_ours", "broker CPU per lead at 64 connections", "µs", broker[OURS], at_most=60),
        measure("broker_fastapi", "broker CPU per lead, FastAPI", "µs", broker[FASTAPI]),
        measure("broker_literal", "broker CPU per lead, the literal way", "µs", broker[LITERAL]),
        *(
            measure(f"cpu_{name}", f"web-worker CPU per lead, {NAMES[name]}", "µs", values)
            for name, values in web.items()
        ),
        *(
            measure(
                f"redis_{name}", f"Redis CPU per lead, {NAMES[name]}", "µs", [turn.redis for turn in those]
            )
            for name, those in turns.items()
            if name != EMPTY
        ),
        *(
            measure(
                f"rate_{name}",
                f"accepted by one worker, {NAMES[name]}",
                "leads/s",
                [turn.rate for turn in those],
            )
            for name, those in turns.items()
        ),
    ]


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Round by round."""
    return [one / other for one, other in zip(above, below, strict=True)]

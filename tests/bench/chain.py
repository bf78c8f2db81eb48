"""From HTTP to the committed row: the CPU of every process that has a part in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from math import inf

from tests.bench.batch import CONNECTIONS as BATCH_CONNECTIONS
from tests.bench.batch import SIZE
from tests.bench.leads import Leads
from tests.bench.load import CONNECTIONS, Load
from tests.bench.processes import CpuClock
from tests.bench.results import Findings, Measure, measure
from tests.bench.sampling import shares_in
from tests.bench.systems import Installation, Running, check_stored, token, wait_until_stored

SECONDS = 3.0
WARM_SECONDS = 0.7
BATCHES = 40
PARTS = {
    "web": "web worker",
    "broker": "RabbitMQ",
    "redis": "Redis",
    "consumer": "consumer",
    "database": "MariaDB",
}

TITLE = "The whole chain"
ABOUT = f"""Web worker, RabbitMQ, Redis, consumer and MariaDB all at work, from the first request
until the last row is committed: single leads for {SECONDS:g} s over {CONNECTIONS} connections, and
in turns with them {BATCHES} batches of {SIZE}; the request log is off. The load generator is not
counted."""


def run(installation: Installation, rounds: int) -> Findings:
    """Raises LeadsLost if a lead is."""
    cpu: dict[str, list[dict[str, float]]] = defaultdict(list)
    leads, servers, sent = Leads(), installation.servers, 0
    sampled = installation.folder / "profile.json"
    with installation.gunicorn() as web:
        jwt = token(web)

        def chain(
            consumer: Running,
            connections: int,
            requests: Iterator[bytes],
            each: int,
            seconds: float = inf,
            count: float = inf,
        ) -> dict[str, float]:
            """µs a lead of each process."""
            nonlocal sent
            with Load(web.port, connections) as load:
                clock = CpuClock({"web": web.pid, "consumer": consumer.pid, **servers.pids})
                accepted = load.run(requests, seconds=seconds, count=count).accepted * each
                sent += accepted
                wait_until_stored(servers, sent)
                return {name: seconds / accepted * 1e6 for name, seconds in clock.used().items()}

        def singles(consumer: Running, seconds: float = SECONDS) -> dict[str, float]:
            return chain(consumer, CONNECTIONS, leads.posts(jwt), 1, seconds=seconds)

        def batches(consumer: Running) -> dict[str, float]:
            return chain(consumer, BATCH_CONNECTIONS, leads.batches(jwt, SIZE), SIZE, count=BATCHES)

        with installation.consumers() as (consumer,):
            singles(consumer, WARM_SECONDS)
            for _ in range(rounds):
                cpu["single"].append(singles(consumer))
                cpu["batched"].append(batches(consumer))
        profiled = "tests.bench.profiled_consumer"
        with installation.consumers(module=profiled, BENCH_PROFILE=str(sampled)) as (consumer,):
            singles(consumer)
        check_stored(servers, sent)
    heading = "What a single lead costs the consumer, by samples of its CPU"
    profile = shares_in(sampled, (parts["consumer"] for parts in cpu["single"]))
    return Findings(
        [*rows("single", cpu["single"], 600), *rows("batched", cpu["batched"], 120)], {heading: profile}
    )


def rows(how: str, used: list[dict[str, float]], target: float) -> list[Measure]:
    whole = [sum(parts.values()) for parts in used]
    return [
        measure(f"chain_{how}", f"CPU of all processes per lead, {how}", "µs", whole, at_most=target),
        *(
            measure(f"chain_{how}_{part}", f"of that {name}, {how}", "µs", [parts[part] for parts in used])
            for part, name in PARTS.items()
        ),
    ]

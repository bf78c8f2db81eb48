"""A million leads through the whole chain: what the processes hold, and how fast consumers still are."""

from __future__ import annotations

import json
import statistics
import time
from collections import defaultdict
from contextlib import ExitStack

from tests.bench.batch import CONNECTIONS, SIZE
from tests.bench.leads import Leads
from tests.bench.load import Load
from tests.bench.processes import CpuClock, resident_mib
from tests.bench.results import Findings, Measure, measure
from tests.bench.sampling import shares
from tests.bench.single import ratios
from tests.bench.systems import Installation, check_stored, token, wait_until_stored

FIRST = 100_000
ALL = 1_000_000
STORED_SECONDS = 600.0
DRAINED = 20_000
FLAT_MIB = 5

TITLE = "A million leads"
ABOUT = f"""A million leads are posted in batches of {SIZE} to one worker while one consumer stores
them, with duplicates, counts, receipts and all indexes. What both processes hold is looked at after
{FIRST:,} leads and after all of them; flat means no more than {FLAT_MIB} MiB in between, the slack
that allocators take. Then, at that size, {DRAINED:,} more leads are queued while consumers are
stopped, which are then let go: one and two of them in turns, timed until the last lead is
committed."""


def run(installation: Installation, rounds: int) -> Findings:
    """Raises LeadsLost if a lead is."""
    leads, servers = Leads(), installation.servers
    with installation.gunicorn() as web:
        jwt = token(web)

        def post(number: int) -> None:
            with Load(web.port, CONNECTIONS) as load:
                load.run(leads.batches(jwt, SIZE), count=number // SIZE)

        held: dict[int, tuple[float, float]] = {}
        with installation.consumers() as (consumer,):
            for number in (FIRST, ALL):
                post(number - servers.counted())
                wait_until_stored(servers, number, STORED_SECONDS)
                held[number] = resident_mib(web.pid), resident_mib(consumer.pid)
        check_stored(servers, ALL)
        rate: dict[int, list[float]] = defaultdict(list)
        cpu: dict[str, list[float]] = defaultdict(list)
        for _ in range(rounds):
            for number in (1, 2):
                stored = servers.counted()
                with installation.consumers(number) as consumers:
                    with ExitStack() as stopped:
                        for consumer in consumers:
                            stopped.enter_context(consumer.paused())
                        post(DRAINED)
                        clock = CpuClock({"consumer": consumers[0].pid, **servers.pids})
                    begun = time.perf_counter()
                    wait_until_stored(servers, stored + DRAINED)
                    rate[number].append(DRAINED / (time.perf_counter() - begun))
                    if number == 1:
                        for name, seconds in clock.used().items():
                            cpu[name].append(seconds / DRAINED * 1e6)
        check_stored(servers, stored + DRAINED)
        post(DRAINED)
        sampled = installation.folder / "profile.json"
        with installation.consumers(module="tests.bench.profiled_consumer", BENCH_PROFILE=str(sampled)):
            wait_until_stored(servers, stored + 2 * DRAINED)
    heading = "What one stored lead costs the consumer, by samples of its CPU"
    profile = shares(json.loads(sampled.read_text()), statistics.median(cpu["consumer"]))
    return Findings([*drains(rate, cpu), *memory(held)], {heading: profile})


def drains(rate: dict[int, list[float]], cpu: dict[str, list[float]]) -> list[Measure]:
    at = "at 1,000,000 rows"
    return [
        measure("consumer_cpu", "consumer CPU per stored lead", "µs", cpu["consumer"], at_most=35),
        measure("consumer_rate", f"stored by one consumer {at}", "leads/s", rate[1], at_least=10_000),
        measure("two_consumers", f"two consumers ÷ one {at}", "×", ratios(rate[2], rate[1]), at_least=1.6),
        measure("two_rate", f"stored by two consumers {at}", "leads/s", rate[2]),
        measure("drain_database", f"database CPU per stored lead {at}", "µs", cpu["database"]),
        measure("drain_broker", "broker CPU per stored lead", "µs", cpu["broker"]),
    ]


def memory(held: dict[int, tuple[float, float]]) -> list[Measure]:
    (web_before, consumer_before), (web, consumer) = held[FIRST], held[ALL]
    after, growth = "after 1,000,000 leads", "from 100,000 to 1,000,000 leads"
    return [
        measure("web_memory", f"memory of the web worker {after}", "MiB", [web], at_most=120),
        measure("consumer_memory", f"memory of the consumer {after}", "MiB", [consumer], at_most=150),
        measure(
            "web_growth", f"growth of the web worker {growth}", "MiB", [web - web_before], at_most=FLAT_MIB
        ),
        measure(
            "consumer_growth",
            f"growth of the consumer {growth}",
            "MiB",
            [consumer - consumer_before],
            at_most=FLAT_MIB,
        ),
    ]

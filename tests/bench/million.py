"""A million leads through the whole chain: what the processes hold, and how fast consumers still are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from tests.bench.batch import CONNECTIONS, SIZE
from tests.bench.disk import LARGER_POOL, larger_pool, pages
from tests.bench.leads import Leads
from tests.bench.load import Load
from tests.bench.processes import CpuClock, resident_mib
from tests.bench.results import Findings, Measure, measure
from tests.bench.sampling import shares_in
from tests.bench.single import ratios
from tests.bench.systems import Installation, check_stored, token, wait_until_stored

FIRST = 100_000
ALL = 1_000_000
STORED_SECONDS = 600.0
DRAINED = 30_000
WARM = 2_000  # leads that a new consumer stores first
FLAT_MIB = 5

TITLE = "A million leads"
ABOUT = f"""A million leads are posted in batches of {SIZE} to one worker while one consumer stores
them, with duplicates, counts, receipts and all indexes. What both processes hold is looked at after
{FIRST:,} leads and after all of them; flat means no more than {FLAT_MIB} MiB in between, the slack
that allocators take. Then, at that size, {DRAINED:,} more leads are queued while consumers are
stopped, which are then let go: one and two of them in turns, timed until the last lead is
committed; the server is left as it is configured. In the end all that is done once more with a larger
buffer pool, which has the pages that each lead's keys are written to."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Leads a second, and for each lead µs of CPU of each process (of one consumer) and pages read from the
    disk."""

    rate: float
    cpu: dict[str, float]
    pages_read: float


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

        def drain(number: int) -> Drain:
            stored = servers.counted() + WARM
            with installation.consumers(number) as consumers:
                post(WARM)
                wait_until_stored(servers, stored)
                with ExitStack() as stopped:
                    for consumer in consumers:
                        stopped.enter_context(consumer.paused())
                    post(DRAINED)
                    before = pages(servers.engine)
                    clock = CpuClock({"consumer": consumers[0].pid, **servers.pids})
                begun = time.perf_counter()
                wait_until_stored(servers, stored + DRAINED)
                took = time.perf_counter() - begun
                used = {name: seconds / DRAINED * 1e6 for name, seconds in clock.used().items()}
            return Drain(DRAINED / took, used, (pages(servers.engine).read - before.read) / DRAINED)

        own = [(drain(1), drain(2)) for _ in range(rounds)]
        with larger_pool(servers.database_url):
            drain(1)  # what it needs is read into the pool
            pooled = [(drain(1), drain(2)) for _ in range(rounds)]
        stored = ALL + (WARM + DRAINED) * (4 * rounds + 1)
        check_stored(servers, stored)
        post(DRAINED)
        sampled = installation.folder / "profile.json"
        with installation.consumers(module="tests.bench.profiled_consumer", BENCH_PROFILE=str(sampled)):
            wait_until_stored(servers, stored + DRAINED)
    heading = "What one stored lead costs the consumer, by samples of its CPU"
    profile = shares_in(sampled, (one.cpu["consumer"] for one, _ in own))
    return Findings([*drains(own, pooled), *memory(held)], {heading: profile})


def drains(own: Sequence[tuple[Drain, Drain]], pooled: Sequence[tuple[Drain, Drain]]) -> list[Measure]:
    """By one and by two consumers, with the server's own buffer pool and with a larger one."""
    at = "at 1,000,000 rows"
    cpu = [one.cpu["consumer"] for one, _ in own]
    broker = [one.cpu["broker"] for one, _ in own]
    return [
        measure("consumer_cpu", "consumer CPU per stored lead", "µs", cpu, at_most=35),
        *of_pool("", at, own),
        *of_pool("_pooled", f"{at}, buffer pool of {LARGER_POOL >> 20:,} MiB", pooled),
        measure("drain_broker", "broker CPU per stored lead", "µs", broker),
    ]


def of_pool(suffix: str, at: str, both: Sequence[tuple[Drain, Drain]]) -> list[Measure]:
    one, two = [one.rate for one, _ in both], [two.rate for _, two in both]
    database = [one.cpu["database"] for one, _ in both]
    read = [one.pages_read for one, _ in both]
    return [
        measure(f"consumer_rate{suffix}", f"stored by one consumer {at}", "leads/s", one, at_least=10_000),
        measure(f"two_consumers{suffix}", f"two consumers ÷ one {at}", "×", ratios(two, one), at_least=1.6),
        measure(f"two_rate{suffix}", f"stored by two consumers {at}", "leads/s", two),
        measure(f"drain_database{suffix}", f"database CPU per stored lead {at}", "µs", database),
        measure(f"drain_read{suffix}", f"read from the disk by one consumer {at}", "pages/lead", read),
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

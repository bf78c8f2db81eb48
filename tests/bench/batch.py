"""Many leads a request: what each costs the web worker, and how many one worker accepts."""

from __future__ import annotations

from collections import defaultdict

from tests.bench.leads import Leads
from tests.bench.load import Load
from tests.bench.processes import CpuClock
from tests.bench.results import Findings, measure
from tests.bench.systems import Installation, check_stored, token, wait_until_stored

SIZE = 500
CONNECTIONS = 8
WARM_REQUESTS = 8
REQUESTS = 60

TITLE = f"{SIZE} leads a request"
ABOUT = f"""{CONNECTIONS} kept connections post batches of {SIZE} leads as JSON to one worker,
{REQUESTS} a round, once with the request log off and once on `full`; nobody consumes meanwhile, and
after each turn a consumer stores what was accepted, all of it."""


def run(installation: Installation, rounds: int) -> Findings:
    """Raises LeadsLost if a lead is."""
    cpu: dict[str, list[float]] = defaultdict(list)
    broker: dict[str, list[float]] = defaultdict(list)
    rate: dict[str, list[float]] = defaultdict(list)
    leads, servers = Leads(), installation.servers
    with installation.gunicorn() as off, installation.gunicorn(API_LOG="full") as full:
        jwt = token(off)
        for _ in range(rounds):
            for log, service in (("off", off), ("full", full)):
                stored = servers.stored()
                with Load(service.port, CONNECTIONS) as load:
                    load.run(leads.batches(jwt, SIZE), count=WARM_REQUESTS)
                    clock = CpuClock({"web": service.pid, **servers.pids})
                    outcome = load.run(leads.batches(jwt, SIZE), count=REQUESTS)
                    used = clock.used()
                accepted = REQUESTS * SIZE
                cpu[log].append(used["web"] / accepted * 1e6)
                broker[log].append(used.get("broker", 0.0) / accepted * 1e6)
                rate[log].append(accepted / outcome.elapsed)
                with installation.consumers():
                    wait_until_stored(servers, stored + accepted + WARM_REQUESTS * SIZE)
                check_stored(servers, stored + accepted + WARM_REQUESTS * SIZE)
    batch = f"batch of {SIZE}"
    return Findings(
        [
            measure("batch_cpu", f"{batch}: web-worker CPU per lead", "µs", cpu["off"], at_most=30),
            measure(
                "batch_rate", f"{batch}: accepted by one worker", "leads/s", rate["off"], at_least=20_000
            ),
            measure("batch_broker", f"{batch}: broker CPU per lead", "µs", broker["off"]),
            measure(
                "batch_cpu_full", f"{batch}: web-worker CPU per lead, request log on full", "µs", cpu["full"]
            ),
            measure("batch_rate_full", f"{batch}: accepted, request log on full", "leads/s", rate["full"]),
        ]
    )

"""How long a client waits for its 201, and how long until the lead can be read back."""

from __future__ import annotations

import re

from deploy.queryable_timer import QueryableTimer
from tests.bench.leads import Leads
from tests.bench.load import Load, percentile
from tests.bench.results import Findings, measure
from tests.bench.systems import ADMIN, Installation, check_stored, token, wait_until_stored

WARM_SECONDS = 0.7
SATURATE_SECONDS = 3.0
SECONDS = 6.0
QUERYABLE_SECONDS = 10.0
LEAD_ID = re.compile(rb'"id":"([0-9a-f-]{36})"')

TITLE = "Latency at half of the saturated rate"
ABOUT = f"""The whole system runs, consumer and admin service included, the request log off. Each
round finds the rate at which 64 connections saturate it within {SATURATE_SECONDS:g} s, lets the
queue run empty, and then posts at half of that rate for {SECONDS:g} s. Each request has its time,
and its latency counts from then, so a request that had to wait for another is as late as its client
would find it. Meanwhile leads are asked for by id at the admin service from the moment of their
201, two at a time."""


def run(installation: Installation, rounds: int) -> Findings:
    """Raises LeadsLost if a lead is."""
    saturated: list[float] = []
    p50: list[float] = []
    p99: list[float] = []
    queryable: list[float] = []
    leads, servers = Leads(), installation.servers
    with (
        installation.gunicorn() as web,
        installation.gunicorn(ADMIN) as admin,
        installation.consumers(),
        Load(web.port) as load,
    ):
        jwt = token(web)
        accepted = load.run(leads.posts(jwt), seconds=WARM_SECONDS).accepted
        for _ in range(rounds):
            outcome = load.run(leads.posts(jwt), seconds=SATURATE_SECONDS)
            saturated.append(outcome.accepted / outcome.elapsed)
            accepted += outcome.accepted
            wait_until_stored(servers, accepted)
            timer = QueryableTimer(f"http://127.0.0.1:{admin.port}", jwt, QUERYABLE_SECONDS)
            outcome = load.run(
                leads.posts(jwt),
                seconds=SECONDS,
                rate=saturated[-1] / 2,
                seen=lambda answer, timer=timer: timer.start(lead_id(answer)),  # type: ignore[misc]
            )
            timer.close()
            accepted += outcome.accepted
            wait_until_stored(servers, accepted)
            p50.append(percentile(outcome.latencies, 50) * 1e3)
            p99.append(percentile(outcome.latencies, 99) * 1e3)
            queryable.append(percentile(timer.seconds, 95) * 1e3)
        check_stored(servers, accepted)
    return Findings(
        [
            measure("latency_p99", "p99 of acceptance at half of the saturated rate", "ms", p99, at_most=25),
            measure("queryable_p95", "p95 from accepted to queryable", "ms", queryable, at_most=250),
            measure("latency_p50", "p50 of acceptance at half of the saturated rate", "ms", p50),
            measure("saturated", "saturated rate with all parts at work", "leads/s", saturated),
        ]
    )


def lead_id(answer: bytes) -> str:
    """The id in a 201."""
    found = LEAD_ID.search(answer)
    return found[1].decode() if found else ""

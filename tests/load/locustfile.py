"""Partners posting leads with Locust. `make load-test` and the other `load-test-…` targets run it.

A run makes a partner of its own, and in the end looks every lead that was answered with 201 up again.
"""

from __future__ import annotations

import random
import sys
import time
import uuid
from argparse import ArgumentParser
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import gevent
import orjson
from locust import FastHttpUser, LoadTestShape, constant_pacing, events, task
from locust.contrib.fasthttp import FastResponse
from locust.env import Environment
from rich.console import Console
from rich.table import Table

from tests.load.office import CannotLoad, Office, Partner
from tests.load.profiles import PROFILES, Profile, Stage
from tests.load.verdict import Check, Run, checks


@dataclass
class Posting:
    """A run: under way, and judged once there is a verdict."""

    office: Office
    partner: Partner
    profile: Profile
    started: float = field(default_factory=time.monotonic)
    accepted: set[str] = field(default_factory=set)
    accepted_by_size: Counter[int] = field(default_factory=Counter)
    verdict: list[Check] = field(default_factory=list)

    def stage(self) -> Stage | None:
        """What is to be sent now; None once all was."""
        return self.profile.stage_at(time.monotonic() - self.started)

    def take_down(self, ids: list[str]) -> None:
        """Keeps the ids that one request was answered with."""
        self.accepted.update(ids)
        self.accepted_by_size[len(ids)] += len(ids)

    def rates(self) -> list[str]:
        """How many leads a second were accepted in each stage that answers have set the pace of."""
        stages = () if self.profile.pace else self.profile.stages
        rates = [(stage.leads, self.accepted_by_size[stage.leads] / stage.seconds) for stage in stages]
        return [f"{rate:,.0f} leads a second accepted, {leads} a request" for leads, rate in rates]


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--load", choices=sorted(PROFILES), default="complete")
    parser.add_argument("--duration", type=float, help="seconds; the profile's own unless given")
    parser.add_argument("--admin-email", env_var="LOAD_ADMIN_EMAIL", default="admin@example.com")
    parser.add_argument(
        "--admin-password",
        env_var="LOAD_ADMIN_PASSWORD",
        default="password123",  # the demo admin's
        is_secret=True,
    )


def profile_of(environment: Environment) -> Profile:
    """The load that the options ask for."""
    options = environment.parsed_options
    profile = PROFILES[options.load]
    return profile.lasting(options.duration) if options.duration else profile


def new_lead() -> dict[str, Any]:
    """A lead that no other is like, marked as a test."""
    name = uuid.uuid4().hex
    return {
        "firstName": "Load",
        "lastName": name[:8],
        "email": f"{name}@example.com",
        "phone": f"+49{int(name[:12], 16) % 10**10 + 10**9}",
        "dateOfBirth": "1990-01-01",
        "verticals": ["solar"],
        "test": True,
        "additionalData": {"source": "load test"},
    }


class TokenPoster(FastHttpUser):
    """A partner's system: one lead, or a batch of them, each `pace` seconds; with a JWT, as the second seed's
    partners do."""

    weight = 3
    posting: Posting

    def on_start(self) -> None:
        self.posting = self.environment.posting
        # Those who come together shall not knock together each time.
        gevent.sleep(random.uniform(0, self.posting.profile.pace))

    def wait_time(self) -> float:
        pace = self.posting.profile.pace
        return constant_pacing(pace)(self) if pace else 0.0

    @task
    def post_what_is_due(self) -> None:
        stage = self.posting.stage()
        if stage is None:
            gevent.sleep(0.1)
        elif stage.leads == 1:
            self.post_lead()
        else:
            self.post("/api/leads/batch", {"leads": [new_lead() for _ in range(stage.leads)]})

    def post_lead(self) -> None:
        self.post("/api/leads", new_lead())

    def credentials(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.posting.partner.token}"}

    def post(self, path: str, body: dict[str, Any]) -> None:
        headers = {**self.credentials(), "Content-Type": "application/json"}
        with self.client.post(path, orjson.dumps(body), headers=headers, catch_response=True) as response:
            if response.status_code != 201:
                response.failure(f"{response.status_code} {str(response.text)[:100]}")
                return
            self.posting.take_down(lead_ids(response))


def lead_ids(response: FastResponse) -> list[str]:
    """The ids in any kind of 201."""
    body = orjson.loads(response.content)
    data = body.get("data", body)
    return [result["id"] for result in data.get("results", [data])]


class KeyPoster(TokenPoster):
    """The same with an API key and the names of fields that the first seed's partners use."""

    weight = 1

    def post_lead(self) -> None:
        lead = new_lead()
        tracked = {name: lead[name] for name in ("firstName", "lastName", "email", "phone", "verticals")}
        tracked |= {"dob": lead["dateOfBirth"], "extraData": lead["additionalData"]}
        self.post("/api/tracking/", tracked)

    def credentials(self) -> dict[str, str]:
        return {"X-AUTH-Token": self.posting.partner.api_key}


class ProfileShape(LoadTestShape):
    """As many users as the profile wants at the moment."""

    def tick(self) -> tuple[int, float] | None:
        stage = profile_of(self.runner.environment).stage_at(self.get_run_time())
        return None if stage is None else (stage.users, stage.users)


@events.init.add_listener
def show_verdict_at_the_end(environment: Environment, **_: Any) -> None:
    def show_last(exit_code: int) -> None:
        posting: Posting | None = getattr(environment, "posting", None)
        if posting is not None and posting.verdict and environment.web_ui is None:
            show(posting)

    environment.events.quit.add_listener(show_last)


@events.test_start.add_listener
def open_account(environment: Environment, **_: Any) -> None:
    options, profile = environment.parsed_options, profile_of(environment)
    try:
        office = Office(str(environment.host), options.admin_email, options.admin_password)
        environment.posting = Posting(office, office.open_account(), profile)
    except CannotLoad as reason:
        give_up(environment, reason)
        return
    print(f"{plan_of(profile)} to {environment.host}, {profile.seconds:.0f} s in all …", flush=True)


def plan_of(profile: Profile) -> str:
    """What will be sent, in words."""
    if profile.pace:
        rates = [f"{stage.users / profile.pace * 60:,.0f}" for stage in profile.stages]
        return f"{' → '.join(rates)} leads a minute"
    sizes = [f"{stage.leads} by {stage.users} partners at once" for stage in profile.stages]
    return f"As many leads as are taken, {', then '.join(sizes)},"


@events.test_stop.add_listener
def judge(environment: Environment, **_: Any) -> None:
    posting: Posting | None = getattr(environment, "posting", None)
    if posting is None:
        return
    total = environment.stats.total
    try:
        listed = posting.office.listed(posting.partner, len(posting.accepted))
        posting.office.close_account(posting.partner)
    except CannotLoad as reason:
        give_up(environment, reason)
        return
    posting.verdict = checks(
        Run(
            planned=posting.profile.requests,
            requests=total.num_requests,
            failures=total.num_failures,
            p95_ms=total.get_response_time_percentile(0.95),
            accepted=posting.accepted,
            listed=listed,
        )
    )
    environment.process_exit_code = 0 if all(check.holds for check in posting.verdict) else 1
    if environment.web_ui is not None:
        show(posting)


def give_up(environment: Environment, reason: CannotLoad) -> None:
    print(f"The load test cannot be run: {reason}", file=sys.stderr)
    environment.process_exit_code = 1
    if environment.runner is not None:
        environment.runner.quit()


def show(posting: Posting) -> None:
    for rate in posting.rates():
        print(rate)
    table = Table("", "what", "asked", "seen", title="Thresholds", title_justify="left")
    for check in posting.verdict:
        table.add_row("[green]✓" if check.holds else "[red]✗", check.about, check.asked, check.seen)
    Console().print(table)

"""Partners posting leads with Locust. `make load-test`, `load-test-sustained` and `load-test-spike` run it.

A run makes a partner of its own, and in the end looks every lead that was answered with 201 up again.
"""

from __future__ import annotations

import random
import sys
import uuid
from argparse import ArgumentParser
from dataclasses import dataclass, field
from typing import Any

import gevent
from locust import FastHttpUser, LoadTestShape, constant_pacing, events, task
from locust.contrib.fasthttp import FastResponse
from locust.env import Environment
from rich.console import Console
from rich.table import Table

from tests.load.office import CannotLoad, Office, Partner
from tests.load.profiles import PROFILES, Profile
from tests.load.verdict import Check, Run, checks


@dataclass
class Posting:
    """A run: under way, and judged once there is a verdict."""

    office: Office
    partner: Partner
    accepted: set[str] = field(default_factory=set)
    verdict: list[Check] = field(default_factory=list)


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


class Poster(FastHttpUser):
    """A partner's system: a lead each `pace` seconds."""

    abstract = True

    def on_start(self) -> None:
        self.posting: Posting = self.environment.posting
        # Those who come together shall not knock together each time.
        gevent.sleep(random.uniform(0, profile_of(self.environment).pace))

    def wait_time(self) -> float:
        return constant_pacing(profile_of(self.environment).pace)(self)

    def post(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> None:
        with self.client.post(path, json=body, headers=headers, catch_response=True) as response:
            if response.status_code != 201:
                response.failure(f"{response.status_code} {str(response.text)[:100]}")
                return
            self.posting.accepted.add(lead_id(response))


def lead_id(response: FastResponse) -> str:
    """The id in either kind of 201."""
    body = response.json()
    return str(body.get("data", body)["id"])


class TokenPoster(Poster):
    """Posts leads as the second seed's partners do: with a JWT."""

    weight = 3

    @task
    def post_lead(self) -> None:
        self.post("/api/leads", new_lead(), {"Authorization": f"Bearer {self.posting.partner.token}"})


class KeyPoster(Poster):
    """Posts leads as the first seed's partners do: with an API key."""

    weight = 1

    @task
    def post_lead(self) -> None:
        lead = new_lead()
        tracked = {name: lead[name] for name in ("firstName", "lastName", "email", "phone", "verticals")}
        tracked |= {"dob": lead["dateOfBirth"], "extraData": lead["additionalData"]}
        self.post("/api/tracking/", tracked, {"X-AUTH-Token": self.posting.partner.api_key})


class ProfileShape(LoadTestShape):
    """As many users as the profile wants at the moment."""

    def tick(self) -> tuple[int, float] | None:
        users = profile_of(self.runner.environment).users_at(self.get_run_time())
        return None if users is None else (users, users)


@events.init.add_listener
def show_verdict_at_the_end(environment: Environment, **_: Any) -> None:
    def show_last(exit_code: int) -> None:
        posting: Posting | None = getattr(environment, "posting", None)
        if posting is not None and posting.verdict and environment.web_ui is None:
            show(posting.verdict)

    environment.events.quit.add_listener(show_last)


@events.test_start.add_listener
def open_account(environment: Environment, **_: Any) -> None:
    options, profile = environment.parsed_options, profile_of(environment)
    try:
        office = Office(str(environment.host), options.admin_email, options.admin_password)
        environment.posting = Posting(office, office.open_account())
    except CannotLoad as reason:
        give_up(environment, reason)
        return
    rates = " → ".join(f"{stage.users / profile.pace * 60:,.0f}" for stage in profile.stages)
    print(f"{rates} leads a minute to {environment.host}, {profile.seconds:.0f} s in all …", flush=True)


@events.test_stop.add_listener
def judge(environment: Environment, **_: Any) -> None:
    posting: Posting | None = getattr(environment, "posting", None)
    if posting is None:
        return
    total = environment.stats.total
    try:
        listed = posting.office.listed(posting.partner, posting.accepted)
        posting.office.close_account(posting.partner)
    except CannotLoad as reason:
        give_up(environment, reason)
        return
    posting.verdict = checks(
        Run(
            planned=profile_of(environment).requests,
            requests=total.num_requests,
            failures=total.num_failures,
            p95_ms=total.get_response_time_percentile(0.95),
            accepted=posting.accepted,
            listed=listed,
        )
    )
    environment.process_exit_code = 0 if all(check.holds for check in posting.verdict) else 1
    if environment.web_ui is not None:
        show(posting.verdict)


def give_up(environment: Environment, reason: CannotLoad) -> None:
    print(f"The load test cannot be run: {reason}", file=sys.stderr)
    environment.process_exit_code = 1
    if environment.runner is not None:
        environment.runner.quit()


def show(verdict: list[Check]) -> None:
    table = Table("", "what", "asked", "seen", title="Thresholds", title_justify="left")
    for check in verdict:
        table.add_row("[green]✓" if check.holds else "[red]✗", check.about, check.asked, check.seen)
    Console().print(table)

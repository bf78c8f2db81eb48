"""What an admin changes on one instance, other instances that run already act upon (contract, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from flask import Flask
from sqlalchemy import Engine

from shared.keys import KeyRing
from tests.factories import PASSWORD
from tests.integration.calling import (
    SERVICES,
    USERS,
    Caller,
    Person,
    add_admin,
    add_partner,
    created,
    log_in,
    new_app,
    running,
    token_of,
)
from tests.waiting import wait_until

EVERYWHERE_SECONDS = 5.0


@dataclass
class Office:
    """An admin at one instance, and a running instance of each service to watch."""

    admin: Caller
    person: Person
    others: list[Flask] = field(default_factory=list)

    def keys_of(self, person: Person) -> str:
        return f"{USERS}{person.id}/access_tokens"


@pytest.fixture
def office(engine: Engine, keys: KeyRing) -> Iterator[Office]:
    person = add_admin(engine)
    with ExitStack() as stack:
        others = [stack.enter_context(running(new_app(service, engine, keys))) for service in SERVICES]
        yield Office(person.calls(new_app("admin", engine, keys)), person, others)


def becomes(callers: list[Caller], code: int) -> bool:
    """Whether all of them come to be answered so, in time."""
    wait_until(
        lambda: all(caller.knock().status_code == code for caller in callers),
        f"{code} everywhere",
        EVERYWHERE_SECONDS,
    )
    return True


CHANGES: dict[str, Callable[[Caller, str], int]] = {
    "deactivated": lambda admin, place: admin.patch(place, {"isActive": False}).status_code,
    "deleted": lambda admin, place: admin.delete(place).status_code,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_partner_who_is_gone_is_refused_everywhere(engine: Engine, office: Office, change: str) -> None:
    partner = add_partner(engine)
    callers = [
        caller for app in office.others for caller in (partner.calls(app), partner.calls_with_token(app))
    ]
    assert all(caller.is_let_in() for caller in callers)
    assert CHANGES[change](office.admin, f"{USERS}{partner.id}") == 204
    assert becomes(callers, 401)
    assert [log_in(app, partner.email).status_code for app in office.others] == [401, 401]


def test_revoked_tokens_are_refused_everywhere_and_the_key_goes_on(engine: Engine, office: Office) -> None:
    partner = add_partner(engine)
    tokens = [partner.calls_with_token(app) for app in office.others]
    assert all(caller.is_let_in() for caller in tokens)
    office.admin.post(f"{USERS}{partner.id}/revoke_tokens")
    assert becomes(tokens, 401)
    assert all(partner.calls(app).is_let_in() for app in office.others)
    assert all(partner.calls_with_token(app).is_let_in() for app in office.others)


def test_a_new_password_ends_tokens_everywhere(engine: Engine, office: Office) -> None:
    partner = add_partner(engine)
    tokens = [partner.calls_with_token(app) for app in office.others]
    office.admin.patch(f"{USERS}{partner.id}", {"password": "the next one"})
    assert becomes(tokens, 401)
    assert [log_in(app, partner.email, "the next one").status_code for app in office.others] == [200, 200]
    assert [log_in(app, partner.email, PASSWORD).status_code for app in office.others] == [401, 401]


@pytest.mark.parametrize("way", ["disabled", "rotated"])
def test_a_key_that_is_disabled_is_refused_everywhere_and_tokens_go_on(
    engine: Engine, office: Office, way: str
) -> None:
    partner = add_partner(engine)
    callers = [partner.calls(app) for app in office.others]
    tokens = [partner.calls_with_token(app) for app in office.others]
    assert all(caller.is_let_in() for caller in callers)
    if way == "rotated":
        new = office.admin.post(office.keys_of(partner), {"rotate": True}).json["api_token"]
        assert all(Caller(app, {"X-AUTH-Token": new}).is_let_in() for app in office.others)
    else:
        [token] = office.admin.get(office.keys_of(partner)).json["data"]["items"]
        office.admin.delete(f"{office.keys_of(partner)}/{token['id']}")
    assert becomes(callers, 401)
    assert all(caller.is_let_in() for caller in tokens)


@pytest.mark.parametrize(("role", "code"), [("ROLE_ADMIN", 200), ("ROLE_API_CLIENT", 403)])
def test_other_roles_are_in_force_everywhere_for_tokens_issued_before(
    engine: Engine, office: Office, role: str, code: int
) -> None:
    person = add_partner(engine) if role == "ROLE_ADMIN" else add_admin(engine, "other@example.com")
    _, admin_app = office.others
    callers = [person.calls(admin_app), person.calls_with_token(admin_app)]
    assert {caller.get(USERS).status_code for caller in callers} == {200, 403} - {code}
    office.admin.patch(f"{USERS}{person.id}", {"roles": [role]})
    wait_until(
        lambda: all(caller.get(USERS).status_code == code for caller in callers),
        f"{role} in force",
        EVERYWHERE_SECONDS,
    )


@pytest.mark.parametrize("service", SERVICES)
def test_a_user_and_a_key_made_a_moment_ago_work_at_once_on_an_instance_that_knew_neither(
    engine: Engine, keys: KeyRing, service: str
) -> None:
    person = add_admin(engine)
    other = new_app(service, engine, keys)  # it does not look for changes by itself
    assert person.calls(other).is_let_in()
    admin = person.calls(new_app("admin", engine, keys))
    user = created(admin, password=PASSWORD)
    api_key = admin.post(f"{USERS}{user['id']}/access_tokens", {}).json["api_token"]
    assert Caller(other, {"X-AUTH-Token": api_key}).is_let_in()
    second = created(admin, email="second@example.com", password=PASSWORD)
    assert log_in(other, second["email"]).status_code == 200


@pytest.mark.parametrize("service", SERVICES)
def test_a_token_issued_a_moment_ago_to_a_new_user_works_at_once_elsewhere(
    engine: Engine, keys: KeyRing, service: str
) -> None:
    person = add_admin(engine)
    other = new_app(service, engine, keys)
    assert person.calls(other).is_let_in()
    admin_app = new_app("admin", engine, keys)
    user = created(person.calls(admin_app), password=PASSWORD)
    assert Caller(other, {"Authorization": f"Bearer {token_of(admin_app, user['email'])}"}).is_let_in()


@pytest.mark.parametrize(("own", "seen"), [(1, "1"), (10**9, "1000000000")])
def test_a_users_own_limit_takes_effect_everywhere(
    engine: Engine, office: Office, own: int, seen: str
) -> None:
    partner = add_partner(engine)
    callers = [partner.calls(app) for app in office.others]

    def limits() -> set[str]:
        return {caller.knock().headers["X-RateLimit-Limit"] for caller in callers}

    office.admin.patch(f"{USERS}{partner.id}", {"rateLimitPerMinute": own})
    wait_until(lambda: limits() == {seen}, f"the limit is {seen}", EVERYWHERE_SECONDS)

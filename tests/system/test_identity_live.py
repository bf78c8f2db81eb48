"""Who may sign in, seen from outside: how soon a change is in force with two workers, how keys are rotated
under load, and that no secret turns up where it does not belong."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.client import Client
from tests.system.confidence import Secrets, busy_run
from tests.system.conftest import MANY_REQUESTS, killed, settings_of
from tests.system.office import LET_IN, REFUSED, USERS, Office, command, knock, log_in
from tests.system.running import DEMO_PASSWORD, PARTNER, System
from tests.system.signing_in import Load, published, signer

EVERYWHERE_SECONDS = 5.0
FRESH_CONNECTIONS = 20  # in a row, so that every worker is asked
NEW_KEY_SIGNS_SECONDS = 15.0
EMBEDDED = "embedded system with two workers"


def only_embedded(test: Callable[[System], None]) -> Callable[[System], None]:
    """For what has nothing to do with the servers."""
    for mark in (
        pytest.mark.parametrize("live", ["embedded"], indirect=True),
        pytest.mark.xdist_group(EMBEDDED),
    ):
        test = mark(test)
    return test


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("embedded", marks=pytest.mark.xdist_group(EMBEDDED)),
        pytest.param("servers", marks=pytest.mark.xdist_group("system with servers and two workers")),
    ],
)
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running system whose services have two workers each."""
    with settings_of(request.param) as settings:
        folder = tmp_path_factory.mktemp("live")
        system = System(folder, MANY_REQUESTS | settings | {"WEB_WORKERS": "2", "LOG_LEVEL": "debug"})
        with killed(system):
            system.start()
            yield system
            assert system.stop() == 0, system.output


@pytest.fixture
def office(live: System) -> Iterator[Office]:
    office = Office(live)
    yield office
    office.client.close()


def is_soon(look: Callable[[], object], expected: object) -> bool:
    """Whether from at most EVERYWHERE_SECONDS on it looks as expected, FRESH_CONNECTIONS times in a row."""
    began = time.monotonic()
    in_a_row = 0
    while in_a_row < FRESH_CONNECTIONS:
        looked_after = time.monotonic() - began
        if look() == expected:
            in_a_row += 1
        else:
            assert looked_after < EVERYWHERE_SECONDS
            in_a_row = 0
    return True


# --- how soon a change is in force --------------------------------------------------------------------


def test_a_new_user_and_its_key_work_at_once(live: System, office: Office) -> None:
    for _ in range(2):
        person = office.register()
        answers = Counter(str(knock(live, person.key)) for _ in range(FRESH_CONNECTIONS))
        assert answers == {str(LET_IN): FRESH_CONNECTIONS}
        logins = [log_in(port, person.email, person.password) for port in (live.port, live.admin_port) * 2]
        assert [login.status for login in logins] == [200] * 4
        for login in logins:
            assert knock(live, {"Authorization": f"Bearer {login.json['token']}"}) == LET_IN


def test_a_deactivated_partner_is_refused_everywhere(live: System, office: Office) -> None:
    person = office.register()
    token = office.token(person)
    assert [knock(live, headers) for headers in (token, person.key)] == [LET_IN] * 2
    office.ask("PATCH", f"{USERS}{person.id}", {"isActive": False})
    assert is_soon(lambda: [knock(live, headers) for headers in (token, person.key)], [REFUSED] * 2)
    assert log_in(live.port, person.email, person.password).status == 401


def test_revoked_tokens_are_refused_everywhere(live: System, office: Office) -> None:
    person = office.register()
    token = office.token(person)
    assert knock(live, token) == LET_IN
    office.ask("POST", f"{USERS}{person.id}/revoke_tokens")
    assert is_soon(lambda: knock(live, token), REFUSED)
    assert knock(live, person.key) == LET_IN
    assert knock(live, office.token(person)) == LET_IN


def test_a_disabled_key_is_refused_everywhere(live: System, office: Office) -> None:
    person = office.register()
    assert knock(live, person.key) == LET_IN
    tokens = f"{USERS}{person.id}/access_tokens"
    [key] = office.ask("GET", tokens).data["items"]
    office.ask("DELETE", f"{tokens}/{key['id']}")
    assert is_soon(lambda: knock(live, person.key), REFUSED)


def test_a_role_that_was_taken_away_is_gone_everywhere(live: System, office: Office) -> None:
    person = office.register("ROLE_ADMIN")
    token = office.token(person)

    def may_read_users() -> set[int]:
        statuses = set()
        for port in (live.port, live.admin_port):
            with Client(port) as client:
                statuses |= {
                    client.ask("GET", USERS, headers=headers).status for headers in (token, person.key)
                }
        return statuses

    assert may_read_users() == {200}
    office.ask("PATCH", f"{USERS}{person.id}", {"roles": ["ROLE_API_CLIENT"]})
    assert is_soon(may_read_users, {403})
    assert knock(live, token) == LET_IN


# --- with the embedded parts ---------------------------------------------------------------------------


@only_embedded
def test_a_rotation_under_load_refuses_no_request(live: System) -> None:
    [old] = published(live)
    with Load(live) as load:
        time.sleep(1)
        command(live, "rotate-jwt-keys")
        began = time.monotonic()
        while len(published(live)) < 2 or load.latest == old:
            assert time.monotonic() - began < NEW_KEY_SIGNS_SECONDS, (published(live), load.signers)
            time.sleep(0.1)
        time.sleep(1)
    new = max(published(live))
    assert new > old
    assert load.refused == []
    assert set(load.statuses) == {"login 200", "post 201", "list 200"}
    assert set(load.signers) == {old, new}
    logins = [log_in(live.port, PARTNER, DEMO_PASSWORD) for _ in range(FRESH_CONNECTIONS)]
    assert {signer(login.json["token"]) for login in logins} == {new}


@only_embedded
def test_no_password_key_or_token_turns_up_anywhere(live: System) -> None:
    secrets = Secrets()
    busy_run(live, secrets)
    typed = secrets.make("typed password")
    created = command(live, "create-user", "typed@example.com", "--password-stdin", typed=f"{typed}\n")
    assert secrets.found_in(f"{created.stdout}{created.stderr}".encode()) == []
    api_key = command(live, "create-client-apikey", "key@example.com").stdout.strip()
    shown = {"X-AUTH-Token": secrets.add("key of a command", api_key)}
    with Client(live.port) as client:
        assert client.ask("GET", USERS, headers=shown).status == 200
    for path in Path(live.environment["DATA_DIR"], "jwt-keys").glob("*.pem"):
        secrets.add("private JWT key", path.read_text().splitlines()[5])

    commands = [process.command for process in live.processes()]
    assert len(commands) >= 6
    assert secrets.found_in("\n".join(commands).encode()) == []
    assert len(secrets.refusals) > 100
    for refusal in secrets.refusals:
        assert secrets.found_in(refusal) == [], refusal[:2000]
    files = [path for path in live.folder.rglob("*") if path.is_file() and path.suffix != ".pem"]
    said = {path: path.read_bytes() for path in files}
    assert any(b"typed@example.com" in text for text in said.values())  # a secret would be found beside it
    assert {str(path): found for path, text in said.items() if (found := secrets.found_in(text))} == {}

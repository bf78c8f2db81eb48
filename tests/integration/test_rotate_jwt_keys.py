"""`rotate-jwt-keys`: two keys may be live at once, so that it logs nobody out (contract, section 3)."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import jwt
import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import Engine

from shared.keys import KeyRing
from tests.integration.calling import Caller, Person, add_partner, new_app, token_of

SETTLED_SECONDS = 6  # after that a new key signs
OUTLIVED_SECONDS = 3600 + SETTLED_SECONDS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "jwt-keys"


@pytest.fixture
def app(sqlite_engine: Engine, folder: Path) -> Flask:
    """The admin service, started before there is any key."""
    return instance(sqlite_engine, folder)


@pytest.fixture
def partner(sqlite_engine: Engine) -> Person:
    return add_partner(sqlite_engine)


def instance(engine: Engine, folder: Path, service: str = "admin") -> Flask:
    """A service that reads the keys of `folder` anew each time."""
    ring = KeyRing(folder, elapsed=iter(range(0, 10**9, 10)).__next__)
    return new_app(service, engine, ring, jwt_keys_dir=folder)


def rotate(app: Flask, *options: str) -> Result:
    result: Result = app.test_cli_runner().invoke(args=["rotate-jwt-keys", *options])
    assert result.exit_code == 0, result.output
    return result


def kids(folder: Path) -> list[str]:
    """The keys by name, the oldest first."""
    return sorted(path.stem for path in folder.glob("*.pem"))


def grow_older(folder: Path, kid: str, seconds: float) -> None:
    """Makes a key as old as that."""
    made_at = time.time() - seconds
    os.utime(folder / f"{kid}.pem", (made_at, made_at))


def published(app: Flask) -> list[str]:
    return sorted(key["kid"] for key in Caller(app).get("/.well-known/jwks.json").json["keys"])


def signer(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def bearer(app: Flask, token: str) -> Caller:
    return Caller(app, {"Authorization": f"Bearer {token}"})


def test_the_first_key_signs_at_once(app: Flask, folder: Path, partner: Person) -> None:
    result = rotate(app)
    [kid] = kids(folder)
    assert kid in result.stdout
    assert published(app) == [kid]
    token = token_of(app, partner.email)
    assert signer(token) == kid
    assert bearer(app, token).is_let_in()


def test_a_key_can_be_read_by_its_owner_only(app: Flask, folder: Path) -> None:
    rotate(app)
    [path] = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_second_key_is_published_at_once_and_signs_once_everyone_has_read_it(
    sqlite_engine: Engine, app: Flask, folder: Path, partner: Person
) -> None:
    rotate(app)
    [old] = kids(folder)
    grow_older(folder, old, SETTLED_SECONDS)
    rotate(app)
    new = kids(folder)[-1]
    assert published(app) == [old, new]
    assert signer(token_of(app, partner.email)) == old
    grow_older(folder, new, SETTLED_SECONDS)
    restarted = instance(sqlite_engine, folder)
    assert signer(token_of(restarted, partner.email)) == new


def test_of_two_new_keys_the_one_that_others_may_know_signs(
    app: Flask, folder: Path, partner: Person
) -> None:
    rotate(app)
    rotate(app)
    assert signer(token_of(app, partner.email)) == kids(folder)[0]


@pytest.mark.parametrize("service", ["ingest", "admin"])
def test_rotation_logs_nobody_out(
    sqlite_engine: Engine, app: Flask, folder: Path, partner: Person, service: str
) -> None:
    rotate(app)
    before = token_of(app, partner.email)
    rotate(app)
    for kid in kids(folder):
        grow_older(folder, kid, SETTLED_SECONDS)
    other = instance(sqlite_engine, folder, service)
    after = token_of(other, partner.email)
    assert signer(before) != signer(after)
    assert bearer(other, before).is_let_in()
    assert bearer(other, after).is_let_in()


def test_an_instance_that_runs_accepts_tokens_of_a_key_made_since(
    sqlite_engine: Engine, app: Flask, folder: Path, partner: Person
) -> None:
    rotate(app)
    runs_already = instance(sqlite_engine, folder, "ingest")
    assert bearer(runs_already, token_of(app, partner.email)).is_let_in()
    rotate(app)
    new = kids(folder)[-1]
    grow_older(folder, new, SETTLED_SECONDS)
    restarted = instance(sqlite_engine, folder)
    token = token_of(restarted, partner.email)
    assert signer(token) == new
    assert bearer(runs_already, token).is_let_in()


def test_a_key_goes_once_its_last_token_has_expired(app: Flask, folder: Path, partner: Person) -> None:
    rotate(app)
    [first] = kids(folder)
    token = token_of(app, partner.email)
    rotate(app)
    second = kids(folder)[-1]
    grow_older(folder, first, 10 * OUTLIVED_SECONDS)
    grow_older(folder, second, OUTLIVED_SECONDS)
    result = rotate(app)
    assert f"Removed key {first}" in result.stdout
    assert first not in published(app)
    assert second in published(app)
    assert bearer(app, token).knock().status_code == 403


def test_a_key_stays_while_a_token_of_it_may_be_good(app: Flask, folder: Path, partner: Person) -> None:
    rotate(app)
    token = token_of(app, partner.email)
    rotate(app)
    first, second = kids(folder)
    grow_older(folder, first, 10 * OUTLIVED_SECONDS)
    grow_older(folder, second, 3600)
    rotate(app)
    assert kids(folder)[:2] == [first, second]
    assert bearer(app, token).is_let_in()


def test_the_last_key_stays_however_old_it_is(app: Flask, folder: Path) -> None:
    rotate(app)
    [only] = kids(folder)
    grow_older(folder, only, 10 * OUTLIVED_SECONDS)
    rotate(app)
    assert only in kids(folder)


def test_if_missing_makes_the_first_key_only(app: Flask, folder: Path) -> None:
    rotate(app, "--if-missing")
    [only] = kids(folder)
    result = rotate(app, "--if-missing")
    assert str(folder) in result.stdout
    assert kids(folder) == [only]


def test_a_folder_that_cannot_be_made_is_one_line(sqlite_engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    app = instance(sqlite_engine, tmp_path / "file" / "jwt-keys")
    result = app.test_cli_runner().invoke(args=["rotate-jwt-keys"])
    assert result.exit_code != 0
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: JWT_KEYS_DIR")

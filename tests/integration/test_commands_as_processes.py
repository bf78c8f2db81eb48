"""The operator's commands as an operator starts them: `flask --app admin_service …`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories import EMAIL_HASH_KEY, PASSWORD

ROOT = Path(__file__).resolve().parents[2]
EMAIL = "new@example.com"


def flask(
    *arguments: str, data_dir: Path, typed: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    """What became of a command in an environment of its own."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "admin_service", *arguments],
        cwd=ROOT,
        env=kept | {"DATA_DIR": str(data_dir)} | settings,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Where there is nothing yet."""
    return tmp_path / "data"


def is_one_line(ended: subprocess.CompletedProcess[str], *words: str) -> bool:
    """Whether it failed, with one line that has these words."""
    assert ended.returncode != 0
    [line] = ended.stderr.splitlines()
    assert all(word in line for word in words), line
    return True


def test_a_machine_is_made_ready_by_commands_alone(data_dir: Path) -> None:
    for _ in range(2):
        upgraded = flask("db", "upgrade", data_dir=data_dir)
        assert (upgraded.returncode, upgraded.stderr) == (0, "")
    user = flask("create-user", EMAIL, "--password-stdin", data_dir=data_dir, typed=f"{PASSWORD}\n")
    assert (user.returncode, user.stderr) == (0, "")
    assert EMAIL in user.stdout
    key = flask("create-client-apikey", EMAIL, "--full_name=Ada", data_dir=data_dir)
    assert key.returncode == 0
    assert len(key.stdout.strip()) >= 40
    rotated = flask("rotate-jwt-keys", "--if-missing", data_dir=data_dir)
    assert (rotated.returncode, rotated.stderr) == (0, "")
    assert len(list((data_dir / "jwt-keys").glob("*.pem"))) == 1


def test_a_database_without_tables_is_one_line(data_dir: Path) -> None:
    ended = flask("create-user", EMAIL, "--password-stdin", data_dir=data_dir, typed=f"{PASSWORD}\n")
    assert is_one_line(ended, "DATABASE_URL", "no such table")


def test_a_database_that_is_not_there_is_one_line_without_its_password(data_dir: Path) -> None:
    url = "mysql+pymysql://leadgate:hunter2hunter2@127.0.0.1:9/leads"
    ended = flask("create-client-apikey", EMAIL, data_dir=data_dir, DATABASE_URL=url)
    assert is_one_line(ended, "DATABASE_URL")
    assert "hunter2" not in ended.stderr


def test_a_variable_that_will_not_do_is_one_line(data_dir: Path) -> None:
    ended = flask("db", "upgrade", data_dir=data_dir, APP_ENV="staging")
    assert is_one_line(ended, "APP_ENV", "'staging'")


def test_a_wrong_use_is_one_line(data_dir: Path) -> None:
    assert is_one_line(flask("create-user", "nobody", data_dir=data_dir), "EMAIL", "'nobody'")


@pytest.mark.parametrize("typed", ["", "password123\n"])
def test_in_production_a_password_comes_by_standard_input_and_is_not_the_demo_one(
    data_dir: Path, typed: str
) -> None:
    settings = {
        "APP_ENV": "production",
        "DATABASE_URL": "mysql+pymysql://leadgate:hunter2hunter2@127.0.0.1:9/leads",
        "AMQP_URL": "amqp://leadgate:hunter2hunter2@127.0.0.1:9/",
        "JWT_KEYS_DIR": str(data_dir.parent / "keys-of-our-own"),
        "EMAIL_HASH_KEY": EMAIL_HASH_KEY,
    }
    password = ["--password-stdin"] if typed else [PASSWORD]
    ended = flask("create-user", EMAIL, *password, data_dir=data_dir, typed=typed, **settings)
    assert is_one_line(ended, "demo password" if typed else "--password-stdin")
    assert PASSWORD not in ended.stderr

"""What blocks does not stall the other requests of a gevent worker (docs/decisions/0002-blocking-work.md)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy import Engine

from tests.factories import PASSWORD, make_user

ROOT = Path(__file__).resolve().parents[2]


def test_other_greenlets_get_their_turn_while_passwords_are_checked(
    sqlite_engine: Engine, sqlite_url: str, keys_path: Path, tmp_path: Path
) -> None:
    make_user(sqlite_engine, "partner@example.com")
    program = [sys.executable, "-m", "tests.integration.ticking_while_signing_in"]
    settings = {"DATABASE_URL": sqlite_url, "JWT_KEYS_DIR": str(keys_path), "DATA_DIR": str(tmp_path)}
    ended = subprocess.run(
        [*program, "partner@example.com", PASSWORD],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert said["statuses"] == [200] * 20
    # A check takes six ticks or so; on the hub there would be none during any.
    assert sum(ticks > 0 for ticks in said["during"]) >= 15, said["during"]

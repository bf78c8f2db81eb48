"""schemathesis makes up requests from the documents: each answer is one that they know, and no fault of ours.

`make fuzz` runs this file with many more of them, and on real servers too.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.running import ADMIN, System

FOLDER = Path(__file__).parent / "fuzzing"
FEW = 5  # requests for each operation
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", FEW))
# To cover each edge of every schema takes long: not where only a few requests are wanted.
PHASES = ["examples", "fuzzing", "stateful", *(["coverage"] if EXAMPLES > FEW else [])]
SECONDS_EACH = 10


def fuzz(port: int, path: str, token: str, folder: Path, known: dict[str, str]) -> int:
    """How many requests were made from a document, one after the other; each answer was a good one."""
    command = [
        *(Path(sys.executable).with_name("st"), "--config-file", FOLDER / "schemathesis.toml"),
        *("run", f"http://127.0.0.1:{port}{path}", "--header", f"Authorization: Bearer {token}"),
        *("--max-examples", str(EXAMPLES), "--continue-on-failure", "--phases", ",".join(PHASES)),
    ]
    ended = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"SCHEMATHESIS_HOOKS": str(FOLDER / "hooks.py"), "FUZZ_KNOWN": json.dumps(known)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    made = re.search(r"(\d+) generated, (\d+) passed", ended.stdout)
    assert made is not None, ended.stdout
    assert made[1] == made[2]
    return int(made[1])


@pytest.mark.parametrize("kind", ["embedded", "servers"] if EXAMPLES > FEW else ["embedded"])
@pytest.mark.timeout(300 + SECONDS_EACH * EXAMPLES)
def test_every_answer_is_one_of_the_documents(own_system: System, kind: str, tmp_path: Path) -> None:
    own_system.start()
    with own_system.client(ADMIN) as admin:
        lead = admin.wait_for_lead(admin.post_lead().data["id"])
    known = {"lead_id": lead["id"], "request_id": lead["requestId"]}
    token = own_system.token(ADMIN)
    made = fuzz(own_system.port, "/api/openapi.json", token, tmp_path, known)
    made += fuzz(own_system.admin_port, "/admin/api/openapi.json", token, tmp_path, known)
    assert made > 20 * EXAMPLES
    print(f"{kind}: {made} requests")

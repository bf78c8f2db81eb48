"""`make bench` where it cannot measure."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent.parent


def test_a_server_that_does_not_answer_is_one_line_with_status_2() -> None:
    command = [sys.executable, "-m", "tests.bench", "--only", "single"]
    answer = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": "mysql+pymysql://root@127.0.0.1:9"},
        capture_output=True,
        text=True,
    )
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (2, "", 1)
    assert "DATABASE_URL" in answer.stderr

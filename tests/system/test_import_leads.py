"""The partner's import on a running system: interrupted wherever it may be, every row is stored once."""

from __future__ import annotations

import csv
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest

from tests.system.client import new_lead
from tests.system.running import DEMO_PASSWORD, OTHER_PASSWORD, PARTNER, ROOT, System

ROWS, ALIKE, ENOUGH_SECONDS = 8000, 7, 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Another machine, to which the one file was copied."""
    shutil.copy(ROOT / "deploy" / "import_leads.py", tmp_path)
    return tmp_path


def start(
    system: System, folder: Path, email: str, *more: str, file: str = "leads.csv"
) -> subprocess.Popen[str]:
    password = DEMO_PASSWORD if email == PARTNER else OTHER_PASSWORD
    return subprocess.Popen(
        [sys.executable, "-I", "import_leads.py", file, "--url", f"http://127.0.0.1:{system.port}", *more],
        cwd=folder,
        env={"LEADGATE_EMAIL": email, "LEADGATE_PASSWORD": password},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    said, complained = process.communicate(timeout=ENOUGH_SECONDS)
    return process.returncode, said, complained


def write_csv(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_rows_are_accepted_or_put_aside_to_be_corrected(system: System, folder: Path) -> None:
    mark = uuid.uuid4().hex
    good, bad = (list(map(str, new_lead(firstName=mark).values())) for _ in range(2))
    bad[2] = "nobody"
    header = ["firstName", "lastName", "E-Mail", "phone", "dateOfBirth", "campaign"]
    write_csv(folder / "leads.csv", [header, [*good, "spring"], [*bad, ""], [*good, "spring"]])
    for _ in range(2):
        status, said, complained = ended(start(system, folder, PARTNER, "--map", "E-Mail=email"))
        assert (status, said) == (1, "3 of 3 rows: 2 accepted, 1 rejected, see leads.rejected.csv\n")
        assert complained == "Unknown field `campaign` is kept under additionalData\n"
    rejected = list(csv.reader((folder / "leads.rejected.csv").read_text().splitlines()))
    reason = "E-Mail: This value is not a valid email address"
    assert rejected == [[*header, "rejected_because"], [*bad, "", reason]]

    rejected[1][2] = f"{mark}@example.com"
    write_csv(folder / "leads.rejected.csv", rejected)
    process = start(system, folder, PARTNER, "--map", "E-Mail=email", file="leads.rejected.csv")
    assert ended(process) == (0, "1 of 1 rows: 1 accepted, 0 rejected\n", "")
    with system.client() as partner:
        partner.wait_for_lead(partner.post_lead().data["id"])
        by_email = {
            email: partner.ask("GET", f"/api/leads?email={email}").data["items"]
            for email in (good[2], rejected[1][2])
        }
    assert [item["status"] for item in by_email[good[2]]].count("stored") == 1
    assert [item["status"] for item in by_email[good[2]]].count("duplicate") == 1
    assert [item["additionalData"] for item in by_email[good[2]]] == [{"campaign": "spring"}] * 2
    assert len(by_email[rejected[1][2]]) == 1


def test_however_often_it_is_interrupted_every_row_is_stored_once(system: System, folder: Path) -> None:
    email = system.other_partner()
    mark = uuid.uuid4().hex[:12]
    rows = [
        [mark, "Müller", f"{number % (ROWS - ALIKE)}.{mark}@example.com", "+4915112345678", "1990-02-28"]
        for number in range(ROWS)
    ]
    write_csv(folder / "leads.csv", [list(new_lead()), *rows])
    with system.client(email) as partner:
        before = partner.total()
        interrupted = 0
        for by in (signal.SIGINT, signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
            process = start(system, folder, email)
            time.sleep(random.uniform(0.1, 0.3))
            process.send_signal(by)
            status, _, complained = ended(process)
            assert status in (0, 1, -signal.SIGKILL, -signal.SIGINT), complained
            assert "Traceback" not in complained or status < 0
            interrupted += status != 0
        assert ended(start(system, folder, email)) == (
            0,
            f"{ROWS} of {ROWS} rows: {ROWS} accepted, 0 rejected\n",
            "",
        )
        partner.wait_for_total(before + ROWS)
        partner.wait_for_lead(partner.post_lead().data["id"])
        found = [lead for lead in partner.listed() if lead["firstName"] == mark]
    assert interrupted
    assert Counter(lead["email"] for lead in found) == Counter(row[2] for row in rows)
    assert sum(lead["status"] == "duplicate" for lead in found) == ALIKE


def test_wrong_credentials_are_told_in_one_line(system: System, folder: Path) -> None:
    write_csv(folder / "leads.csv", [list(new_lead()), list(map(str, new_lead().values()))])
    process = start(system, folder, "nobody@example.com")
    said = "import_leads: The credentials are not accepted: Invalid credentials.\n"
    assert ended(process) == (2, "", said)

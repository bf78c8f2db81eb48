"""`make bench`: measures, prints one table, and writes it into docs/benchmarks.md.

Each section is a module with TITLE, ABOUT and `run(installation, rounds)`; each has servers of its own.
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from tests.bench import batch, chain, latency, million, page, single
from tests.bench.load import WrongAnswer
from tests.bench.machine import machine
from tests.bench.results import Findings, Section, save
from tests.bench.servers import CannotBench, LeadsLost, servers
from tests.bench.systems import ROOT, Installation

SECTIONS: dict[str, ModuleType] = {
    "single": single,
    "batch": batch,
    "million": million,
    "chain": chain,
    "latency": latency,
}
ROUNDS = 5
FIRST_PORT = 21_000


def main(arguments: list[str]) -> int:
    """0; 1 if a lead was lost or refused; 2 with one line if something is missing."""
    parser = argparse.ArgumentParser("make bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=SECTIONS, help="one section; may be repeated")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how many ({ROUNDS})")
    parser.add_argument("--port", type=int, default=FIRST_PORT, help=f"the first to use ({FIRST_PORT})")
    parser.add_argument(
        "--keep", action="store_true", help="write the page, too, when only some were measured"
    )
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all is cleaned up
    try:
        for name in chosen.only or SECTIONS:
            section = measured(name, chosen.rounds, chosen.port)
            print("\n".join(page.printed(section)), flush=True)
            if chosen.keep or not chosen.only:
                save(section)
                page.main()
    except CannotBench as error:
        print(error, file=sys.stderr)
        return 2
    except (WrongAnswer, LeadsLost) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def measured(name: str, rounds: int, first_port: int) -> Section:
    """One section, on servers of its own."""
    module = SECTIONS[name]
    with servers() as found, tempfile.TemporaryDirectory() as folder:
        print(f"{name}: innodb_flush_log_at_trx_commit={found.flush_log_at_commit}", flush=True)
        findings: Findings = module.run(Installation(found, Path(folder), first_port), rounds)
        facts = machine(found.versions | {"innodb_flush_log_at_trx_commit": str(found.flush_log_at_commit)})
    rows = tuple(findings.measures)
    return Section(name, module.TITLE, module.ABOUT, rows, "make bench", taken(), facts, findings.profiles)


def taken() -> str:
    """The day, and the commit that was measured where git knows it: sections may be of different ones."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    if shutil.which("git") is None:
        return today
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return f"{today}, {head.stdout.strip()}" if head.returncode == 0 else today


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

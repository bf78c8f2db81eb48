"""One system, started and stopped as a user would, and the processes it consists of."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.system.client import Client

ROOT = Path(__file__).resolve().parents[2]
PARTNER, ADMIN = "test@example.com", "admin@example.com"
DEMO_PASSWORD = "password123"
OTHER_PASSWORD = "correct horse battery staple"
START_SECONDS, STOP_SECONDS = 60.0, 15.0
PORTS = range(12_000, 20_000)  # a client's own outgoing ports begin above
KEPT = ("HOME", "LANG", "LC_ALL", "PATH", "PYTHONDONTWRITEBYTECODE")
MARK = "LEADGATE_TEST_SYSTEM"


class Process(NamedTuple):
    pid: int
    command: str


class Ended(NamedTuple):
    """A start that did not last."""

    status: int
    output: str
    errors: str


class System:
    """`python3 deploy/local.py run` with ports and a DATA_DIR of its own, under `folder`.

    `settings` are variables beside those. The demo users' tokens outlive a restart, since the keys do.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.port, self.admin_port = free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None
        self._terminal: int | None = None
        self._tokens: dict[str, str] = {}
        self._other_partner = ""
        self._starts = 0
        temporary = folder / "tmp"
        temporary.mkdir()
        self.environment = {
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            "DATA_DIR": str(folder / "data"),
            "INGEST_PORT": str(self.port),
            "ADMIN_PORT": str(self.admin_port),
            "TMPDIR": str(temporary),
            **settings,
            MARK: uuid.uuid4().hex,
        }

    # --- starting and stopping ------------------------------------------------------------------------

    def start(self, *, in_terminal: bool = False) -> None:
        """Start it and wait until it says that it is ready. In a terminal, it has one of its own."""
        self._starts += 1
        command, stdin = self._command("run"), subprocess.DEVNULL
        if in_terminal:
            self._terminal, stdin = pty.openpty()
            command = ["setsid", "--ctty", *command]
        with self._output_path.open("w") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=not in_terminal,
            )
        if in_terminal:
            os.close(stdin)
        self._wait_until_ready()

    def run_to_end(self, target: str = "run", *arguments: str, **variables: str) -> Ended:
        """Run a target that is expected to end by itself; `variables` are set beside the system's own."""
        completed = subprocess.run(
            [*self._command(target), *arguments],
            cwd=ROOT,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        return Ended(completed.returncode, completed.stdout, completed.stderr)

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Stop it as a service manager would; its exit status."""
        assert self._process is not None
        self._process.send_signal(by)
        return self.wait()

    def press_ctrl_c(self) -> None:
        assert self._terminal is not None, "it was not started in a terminal"
        os.write(self._terminal, b"\x03")

    def wait(self) -> int:
        """Wait for its end, as long as that may take at most; its exit status."""
        assert self._process is not None
        status = self._process.wait(timeout=STOP_SECONDS)
        self._process = None
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None
        return status

    def kill(self, processes: Sequence[Process] = ()) -> None:
        """Kill all its processes at the same time: first `processes`, known from before, then the others."""
        for process in [*processes, *self.processes()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        if self._process is not None:
            self.wait()
        wait_until_gone(self)

    def processes(self) -> list[Process]:
        """What runs of it, the supervisor first; found by a variable that all of them have inherited."""
        mark = f"{MARK}={self.environment[MARK]}"
        return [
            Process(pid, _read(pid, "cmdline").replace("\0", " "))
            for pid in sorted(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
            if mark in _read(pid, "environ").split("\0")
        ]

    def kill_part(self, word: str) -> None:
        """Kill the part with `word` in its command line; of a service, the process that has the workers."""
        part = next(process for process in self.processes() if word in process.command)
        os.kill(part.pid, signal.SIGKILL)

    @property
    def output(self) -> str:
        """What the latest start has said so far."""
        return self._output_path.read_text("utf-8")

    @property
    def said(self) -> str:
        """What all its starts have said."""
        return "".join(path.read_text("utf-8") for path in sorted(self.folder.glob("output-*.log")))

    # --- using it -------------------------------------------------------------------------------------

    def client(self, email: str = PARTNER, *, port: int | None = None) -> Client:
        """A client signed in as `email`, at the one address unless another port is named."""
        return Client(port or self.port, self.token(email))

    def token(self, email: str = PARTNER) -> str:
        if email not in self._tokens:
            password = DEMO_PASSWORD if email in (PARTNER, ADMIN) else OTHER_PASSWORD
            with Client(self.port) as client:
                answer = client.ask("POST", "/api/login_check", {"email": email, "password": password})
            assert answer.status == 200, answer.body
            self._tokens[email] = str(answer.json["token"])
        return self._tokens[email]

    def other_partner(self) -> str:
        """The email of a second partner. Tests wait until all that they have sent as that one is listed."""
        if not self._other_partner:
            email = f"partner.{uuid.uuid4().hex[:8]}@example.com"
            command = ["-m", "flask", "--app", "admin_service", "create-user", email, "--password-stdin"]
            subprocess.run(
                [sys.executable, *command],
                cwd=ROOT,
                env=self.environment,
                input=f"{OTHER_PASSWORD}\n",
                text=True,
                check=True,
                capture_output=True,
                timeout=START_SECONDS,
            )
            self._other_partner = email
        return self._other_partner

    # --- below: only for this class -------------------------------------------------------------------

    @property
    def _output_path(self) -> Path:
        return self.folder / f"output-{self._starts}.log"

    def _command(self, target: str) -> list[str]:
        return [sys.executable, "deploy/local.py", target]

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        give_up_at = time.monotonic() + START_SECONDS
        while f"Leadgate is ready at http://127.0.0.1:{self.port} " not in self.output:
            status = self._process.poll()
            assert status is None, f"it ended with status {status}:\n{self.output}"
            assert time.monotonic() < give_up_at, f"not ready in {START_SECONDS:g} s:\n{self.output}"
            time.sleep(0.02)


def wait_until_gone(system: System) -> None:
    """Return once no process of the system is left."""
    give_up_at = time.monotonic() + STOP_SECONDS
    while left := system.processes():
        assert time.monotonic() < give_up_at, f"still there after {STOP_SECONDS:g} s: {left}"
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    free: set[int] = set()
    while len(free) < count:
        port = random.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            free.add(port)
    return list(free)


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text("utf-8", "replace")
    except OSError:
        return ""

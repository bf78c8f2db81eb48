"""The processes under measurement: our own parts, and the rivals, on ports of this machine."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.settings import DEMO_PASSWORD
from tests.bench.processes import children
from tests.bench.servers import CannotBench, LeadsLost, Servers

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
START_SECONDS = 30.0
STOP_SECONDS = 15.0
PARTNER = "test@example.com"
UNLIMITED = 10**9
OURS = "ingest_service.wsgi:app"
ADMIN = "admin_service.wsgi:app"


@dataclass(frozen=True, slots=True)
class Running:
    """A process that is measured, and the port it listens on (0: none)."""

    pid: int
    port: int = 0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It gets no CPU meanwhile."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)


class Installation:
    """Our own system on `servers`, migrated, with a key and the demo users; `folder` is its DATA_DIR."""

    def __init__(self, servers: Servers, folder: Path, first_port: int) -> None:
        self.servers = servers
        self.folder = folder
        self._ports = free_ports(first_port)
        self._environment = os.environ | {
            "APP_ENV": "development",
            "DATA_DIR": str(folder),
            "DATABASE_URL": servers.database_url,
            "AMQP_URL": servers.amqp_url,
            "REDIS_URL": servers.redis_url,
            "RATE_LIMIT_PER_MINUTE": str(UNLIMITED),
            "WEB_WORKERS": "1",
            "API_LOG": "off",
            "LOG_LEVEL": "warning",
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "deploy.prepare"]
        done = subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise CannotBench(f"bench: {done.stderr.strip().splitlines()[-1]}")

    @contextmanager
    def gunicorn(self, app: str = OURS, **variables: str) -> Iterator[Running]:
        """`app` on our own gunicorn settings, with one worker, which is what is measured."""
        port = next(self._ports)
        name = "ADMIN_PORT" if app == ADMIN else "INGEST_PORT"
        command = [str(BIN / "gunicorn"), "-c", "deploy/gunicorn.conf.py", app]
        with started(command, self._environment | variables | {name: str(port)}) as process:
            wait_until_ready(process, port)
            yield Running(children(process.pid)[0], port)

    @contextmanager
    def uvicorn(self, app: str, **variables: str) -> Iterator[Running]:
        """`app` on uvicorn in one process."""
        port = next(self._ports)
        command = [str(BIN / "uvicorn"), app, "--host", "127.0.0.1", "--port", str(port)]
        command += ["--no-access-log", "--log-level", "warning"]
        with started(command, self._environment | variables) as process:
            wait_until_ready(process, port)
            yield Running(process.pid, port)

    @contextmanager
    def consumers(
        self, number: int = 1, module: str = "consumer", **variables: str
    ) -> Iterator[list[Running]]:
        """So many consumers, once all of them take from the queue."""
        with ExitStack() as stack:
            command = [sys.executable, "-m", module]
            environment = self._environment | variables
            processes = [stack.enter_context(started(command, environment)) for _ in range(number)]
            complaint = f"{number} consumers do not take from the queue"
            wait_until(lambda: self.servers.consumers("leads") == number, START_SECONDS, complaint)
            yield [Running(process.pid) for process in processes]


@contextmanager
def started(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours; what it has said comes out at its end. Raises CannotBench if it ends by itself."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said)
        try:
            yield process
            ended = process.poll()
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace"))
        if ended is not None:
            raise CannotBench(f"bench: {' '.join(command[1:])} ended with status {ended}")


def free_ports(first: int) -> Iterator[int]:
    """Those from `first` on that nobody listens on."""
    return (port for port in itertools.count(first) if is_free(port))


def token(service: Running) -> str:
    """A JWT of the partner."""
    with closing(http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)) as connection:
        body = json.dumps({"email": PARTNER, "password": DEMO_PASSWORD})
        connection.request("POST", "/api/login_check", body, {"Content-Type": "application/json"})
        return str(json.loads(connection.getresponse().read())["token"])


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    """Until `/readyz` answers without a fault; a service that has no such route is ready when it says so."""

    def ready() -> bool:
        if process.poll() is not None:
            raise CannotBench(f"bench: a service on port {port} ended with status {process.returncode}")
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
            try:
                connection.request("GET", "/readyz")
                return connection.getresponse().status < 500
            except OSError:
                return False

    wait_until(ready, START_SECONDS, f"nothing answers on port {port}")


def wait_until(holds: Callable[[], bool], seconds: float, complaint: str) -> None:
    """Raises CannotBench with `complaint` if it does not hold within `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise CannotBench(f"bench: {complaint} after {seconds:.0f} s")
        time.sleep(0.1)


def wait_until_stored(servers: Servers, leads: int, seconds: float = 60.0) -> None:
    """Until that many leads are stored, by the counts. Raises LeadsLost if they never are."""
    deadline = time.monotonic() + seconds
    while (stored := servers.counted()) < leads:
        if time.monotonic() > deadline:
            raise LeadsLost(f"{leads} leads were accepted, but {stored} are stored after {seconds:.0f} s")
        time.sleep(0.02)  # the database is busy enough


def check_stored(servers: Servers, leads: int) -> None:
    """Raises LeadsLost if the table has not exactly that many leads."""
    if (stored := servers.stored()) != leads:
        raise LeadsLost(f"{leads} leads were accepted, but {stored} are stored")

"""The whole system on this machine: `make run` in the foreground, `make demo` once through.

It starts the services from outside, so it needs the standard library only.
"""

from __future__ import annotations

import contextlib
import random
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TextIO

from deploy.run_log import Output, RunLog, path_in
from deploy.supervisor import KilledOnRequest, Part, PartFailed, StopRequested, Supervisor

READY_SECONDS = 60.0
LOG_LINES_SHOWN = 40
INTERRUPTED = 130
WRONG_USE = 2
DEMO_PORTS = range(20_000, 32_000)  # a client's own outgoing ports begin above

WELCOME = """
Leadgate is ready at {url} (the admin service alone: http://127.0.0.1:{admin})
"""
DEMO_LOGINS = """
  partner  test@example.com  / password123
  admin    admin@example.com / password123

Post a lead:

curl -sS {url}/api/leads -H "Authorization: Bearer $(curl -sS {url}/api/login_check \
-H 'Content-Type: application/json' -d '{{"email":"test@example.com","password":"password123"}}' \
| sed -n 's/.*"token": *"\\([^"]*\\)".*/\\1/p')" -H 'Content-Type: application/json' \
-d '{{"firstName":"Ada","lastName":"Lovelace","email":"ada@example.com","phone":"+441632960123",\
"dateOfBirth":"1985-12-10","city":"London","countryCode":"GB"}}'
"""


class Ports(NamedTuple):
    """Where the two services listen on 127.0.0.1; named as their variables."""

    ingest: int
    admin: int


class PortRefused(Exception):
    """A port that the user chose cannot be used: one line naming the variable."""


class PrepareFailed(Exception):
    """deploy.prepare could not make the system ready to start; it has said why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def run(root: Path, environment: Mapping[str, str], ensure_python: Callable[[], Path]) -> int:
    """Run the system in the foreground until it is asked to stop; the exit status.

    `ensure_python` gives the Python that has what the services need. Raises PortRefused.
    """
    ports = chosen_ports(environment)
    refuse_taken(ports)
    python = ensure_python()
    refuse_taken(ports)  # again, because making .venv takes a minute
    run_log = RunLog(sys.stdout, path_in(root, environment))
    try:
        with _system(root, python, ports, environment, shown=run_log) as supervisor:
            supervisor.show(welcome(ports, has_demo_users=_is_development(environment)))
            supervisor.watch()
    except StopRequested:
        return 0
    except PrepareFailed as failure:
        return failure.status
    except (KilledOnRequest, PartFailed) as failure:
        print(failure, file=sys.stderr)
    finally:
        run_log.close()
    return 1


@contextlib.contextmanager
def _system(
    root: Path,
    python: Path,
    ports: Ports,
    environment: Mapping[str, str],
    *,
    shown: Output,
    log: TextIO | None = None,
) -> Iterator[Supervisor]:
    """The system, prepared, started and ready; it is stopped on leaving. What its parts say goes to `shown`,
    what preparing it says to `log`, or where ours goes."""
    with Supervisor(root, {**environment, "PYTHONUNBUFFERED": "1"}, shown) as supervisor:
        prepared = supervisor.run("prepare", [str(python), "-m", "deploy.prepare"], log)
        if prepared != 0:
            raise PrepareFailed(prepared)
        supervisor.start(parts(python, ports))
        supervisor.wait_until_ready(READY_SECONDS)
        yield supervisor


def demo(root: Path, environment: Mapping[str, str], ensure_python: Callable[[], Path]) -> int:
    """Run the demo client against a system of its own; the exit status.

    It leaves nothing behind on this machine; on servers that DATABASE_URL names the leads stay.
    """
    if not _is_development(environment):
        print("APP_ENV: the demo makes users with known passwords, so it takes development", file=sys.stderr)
        return WRONG_USE
    python = ensure_python()
    ports = free_ports()
    client = [str(python), "-m", "deploy.demo", "--url", f"http://127.0.0.1:{ports.ingest}"]
    client += ["--csv", "deploy/sample/leads.csv"]
    with tempfile.TemporaryDirectory(prefix="leadgate-demo-", ignore_cleanup_errors=True) as folder:
        log_path = Path(folder, "system.log")
        with log_path.open("w", encoding="utf-8") as log:
            settings = demo_environment(environment, Path(folder, "data"), ports)
            try:
                with _system(root, python, ports, settings, shown=log, log=log) as supervisor:
                    return supervisor.run("demo", client)
            except StopRequested:
                return INTERRUPTED
            except PrepareFailed as failure:
                reason = f"The demo's system could not be prepared (status {failure.status}), see above"
            except (KilledOnRequest, PartFailed) as failure:
                reason = str(failure)
        lines = log_path.read_text("utf-8", "replace").splitlines()[-LOG_LINES_SHOWN:]
    print("\n".join([*lines, reason]), file=sys.stderr)
    return 1


def parts(python: Path, ports: Ports) -> list[Part]:
    """What the system consists of; what takes requests from outside comes first."""
    gunicorn = [str(python.with_name("gunicorn")), "-c", "deploy/gunicorn.conf.py", "--bind"]
    return [
        Part("ingest", [*gunicorn, f"127.0.0.1:{ports.ingest}", "deploy.one_address:app"], ports.ingest),
        Part("admin", [*gunicorn, f"127.0.0.1:{ports.admin}", "admin_service.wsgi:app"], ports.admin),
        Part("consumer", [str(python), "-m", "consumer"]),
    ]


def chosen_ports(environment: Mapping[str, str]) -> Ports:
    """The ports that INGEST_PORT and ADMIN_PORT name. Raises PortRefused."""
    ports = Ports(_port(environment, "INGEST_PORT", 8080), _port(environment, "ADMIN_PORT", 8081))
    if ports.ingest == ports.admin:
        raise PortRefused(f"INGEST_PORT and ADMIN_PORT are both {ports.ingest}; give each its own")
    return ports


def _port(environment: Mapping[str, str], variable: str, default: int) -> int:
    text = environment.get(variable) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise PortRefused(f"{variable}: got {text!r}, takes a port from 1 to 65535")
    return int(text)


def refuse_taken(ports: Ports) -> None:
    """Raises PortRefused for the first port that cannot be listened on."""
    for name, port in ports._asdict().items():
        variable = f"{name.upper()}_PORT"
        try:
            _listen(port)
        except OSError as error:
            raise PortRefused(
                f"{variable}: port {port} of 127.0.0.1 cannot be used ({error.strerror}); "
                f"stop what uses it or set {variable} to another port"
            ) from error


def free_ports() -> Ports:
    """Two ports that nobody listens on."""
    free: list[int] = []
    while len(free) < len(Ports._fields):
        port = random.choice(DEMO_PORTS)  # noqa: S311, no secret
        with contextlib.suppress(OSError):
            _listen(port)
            free += [port] if port not in free else []
    return Ports(*free)


def _listen(port: int) -> None:
    """Raises OSError if a server cannot listen on that port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, so that a restart works
        probe.bind(("127.0.0.1", port))
        probe.listen()


def demo_environment(environment: Mapping[str, str], data_dir: Path, ports: Ports) -> dict[str, str]:
    """The environment of a system of its own, on embedded parts unless ours names servers."""
    return {name: value for name, value in environment.items() if name != "JWT_KEYS_DIR"} | {
        "APP_ENV": "development",
        "DATA_DIR": str(data_dir),
        "INGEST_PORT": str(ports.ingest),
        "ADMIN_PORT": str(ports.admin),
        "RATE_LIMIT_PER_MINUTE": "1000000",
    }


def welcome(ports: Ports, *, has_demo_users: bool) -> str:
    """What `run` prints when the system is ready."""
    text = WELCOME + (DEMO_LOGINS if has_demo_users else "") + "\nCtrl-C stops everything.\n"
    return text.format(url=f"http://127.0.0.1:{ports.ingest}", admin=ports.admin)


def _is_development(environment: Mapping[str, str]) -> bool:
    return environment.get("APP_ENV", "") in ("", "development")

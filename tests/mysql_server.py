"""Runs the tests that know MySQL against a real one, fetched for them: `python -m tests.mysql_server`.

MySQL comes from Debian's unstable suite, by the mirror and the keys that this machine's apt has already. It
is unpacked under var/, never installed, runs on a port of its own with no data, and is stopped in the end.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "var" / "mysql-server"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
START_SECONDS = 60.0


class CannotRun(Exception):
    """Says in a line why there is no MySQL."""


def main(arguments: list[str]) -> int:
    """The exit status of pytest, or 2 with a line that says why it could not run."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the server is stopped
    try:
        unpacked = fetched(KEPT)
        with tempfile.TemporaryDirectory() as folder, running(unpacked, Path(folder)) as url:
            environment = os.environ | {"TEST_MYSQL_URL": url, "REQUIRE_SERVICES": "MySQL"}
            chosen = ["-n", "2", "--dist", "loadgroup", "-k", "mysql", "tests/integration"]
            command = [sys.executable, "-m", "pytest", *chosen, *arguments]
            return subprocess.run(command, cwd=ROOT, env=environment).returncode
    except CannotRun as error:
        print(f"test-mysql: {error}", file=sys.stderr)
        return 2


def fetched(folder: Path) -> Path:
    """The root of an unpacked MySQL with all that it needs, downloaded the first time."""
    unpacked = folder / "root"
    if unpacked.is_dir():
        return unpacked
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise CannotRun(f"MySQL is fetched by {program}, which is not here")
    settings = apt_settings(folder)
    apt("update", settings=settings)
    only_fetch = ("--yes", "--download-only", "--no-install-recommends")
    apt("install", *only_fetch, "mysql-server-core", settings=settings)
    half_made = folder / "half-made"
    shutil.rmtree(half_made, ignore_errors=True)
    for package in sorted((folder / "cache" / "archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, half_made], check=True)
    shutil.rmtree(folder / "cache")
    return half_made.rename(unpacked)


def apt_settings(folder: Path) -> Path:
    """A configuration with which apt knows of nothing but the unstable suite, and keeps all in `folder`."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "state" / "status").touch()
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror()} sid main\n")
    settings = folder / "apt.conf"
    settings.write_text(
        f'Dir::State "{folder}/state";\n'
        f'Dir::State::status "{folder}/state/status";\n'
        f'Dir::Cache "{folder}/cache";\n'
        f'Dir::Etc::sourcelist "{sources}";\n'
        'Dir::Etc::sourceparts "/dev/null";\n'
        'APT::Sandbox::User "root";\n'
    )
    return settings


def mirror() -> str:
    """Where this machine gets Debian's packages."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    known = subprocess.run(command, capture_output=True, text=True).stdout.split()
    for address in known:
        if address.rstrip("/").endswith("/debian"):
            return address
    raise CannotRun("this machine's apt has no mirror of Debian")


def apt(*words: str, settings: Path) -> None:
    print(f"apt-get {words[0]} …", flush=True)
    environment = os.environ | {"APT_CONFIG": str(settings), "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", "-q", *words], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotRun(f"apt-get {words[0]} failed: {(done.stderr or done.stdout).strip().splitlines()[-1]}")


@contextmanager
def running(unpacked: Path, folder: Path) -> Iterator[str]:
    """A server with its data in `folder`, as the URL of its root user, who needs no password."""
    command = [*program(unpacked), f"--datadir={folder}/data"]
    log = folder / "log"
    with log.open("wb") as output:
        if subprocess.run([*command, "--initialize-insecure"], stderr=output).returncode != 0:
            raise CannotRun(f"mysqld made no data: {last_line(log)}")
        port = free_port()
        places = [f"--socket={folder}/socket", f"--pid-file={folder}/pid", "--secure-file-priv=NULL"]
        network = ["--bind-address=127.0.0.1", f"--port={port}", "--mysqlx=OFF", "--skip-log-bin"]
        server = subprocess.Popen([*command, *places, *network], stderr=output)
    try:
        wait_for(server, port, log)
        yield f"mysql+pymysql://root@127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def program(unpacked: Path) -> list[str]:
    """mysqld with the loader and the libraries it was made for, whatever this machine has."""
    loader = next(unpacked.glob("usr/lib*/ld-linux-*.so.*"), None)
    libraries = next(unpacked.glob("usr/lib/*-linux-gnu"), None)
    if loader is None or libraries is None:
        raise CannotRun(f"no loader for this machine in {unpacked}; remove it to fetch it again")
    usr = unpacked / "usr"
    as_root = ["--user=root"] if os.getuid() == 0 else []
    return [
        *map(str, (loader, "--library-path", libraries, usr / "sbin" / "mysqld")),
        "--no-defaults",
        *as_root,
        f"--basedir={usr}",
        f"--lc-messages-dir={usr}/share/mysql",
        f"--character-sets-dir={usr}/share/mysql/charsets",
        f"--plugin-dir={usr}/lib/mysql/plugin",
    ]


def free_port() -> int:
    """Below those that clients' own connections get, or one of them may hold it when the server starts."""
    while True:
        port = random.randrange(20_000, 32_768)
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port


def wait_for(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            pymysql.connect(host="127.0.0.1", port=port, user="root", connect_timeout=2).close()
        except pymysql.Error:
            time.sleep(0.1)
        else:
            return
    raise CannotRun(f"mysqld does not answer: {last_line(log)}")


def last_line(log: Path) -> str:
    return (log.read_text(errors="replace").splitlines() or [""])[-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

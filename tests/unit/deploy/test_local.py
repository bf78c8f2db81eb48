"""`python3 deploy/local.py TARGET`, run as a process over a tree whose services are a few lines each."""

import ast
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy import local, local_system, supervisor, virtual_environment
from tests.waiting import wait_until

ROOT = Path(local.__file__).parent.parent
OURS = (
    "caches.py",
    "child_process.py",
    "load.py",
    "local.py",
    "local_system.py",
    "run_log.py",
    "supervisor.py",
    "virtual_environment.py",
)

# Each part leaves its process id, and its name once it is asked to stop.
PART = """
import os, pathlib, signal, sys, threading
def part(name):
    pathlib.Path("pid-" + name).write_text(str(os.getpid()))
    def stop(*_):
        with open("stopped", "a") as stopped:
            print(name, file=stopped)
        os._exit(0)
    signal.signal(signal.SIGTERM, stop)
"""
GUNICORN = """
import http.server, sys
sys.path.insert(0, ".")
from deploy.part import part
address, app = sys.argv[-2:]
part(app.split(".")[0])
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()
        login = self.path == "/api/login_check"
        self.wfile.write(b'{"token":"a.b-c"}' if login else str(self.headers["Authorization"]).encode())
    do_GET = do_POST = answer
host, port = address.split(":")
http.server.HTTPServer((host, int(port)), Handler).serve_forever()
"""
CONSUMER = """
import time
from deploy.part import part
part("consumer")
print("consuming")
time.sleep(60)
"""
STUBBORN = CONSUMER.replace(
    'print("consuming")', "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)"
)
ECHO = '#!/bin/sh\necho "$@"\ncase "$*" in *{word}*) exit 7;; esac\n'


@dataclass
class Tree:
    """A checkout with fake services and a `.venv` that counts as made."""

    root: Path
    ports: local_system.Ports = field(default_factory=local_system.free_ports)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        ports = {"INGEST_PORT": str(self.ports.ingest), "ADMIN_PORT": str(self.ports.admin)}
        process = subprocess.Popen(
            [sys.executable, "deploy/local.py", *words],
            cwd=self.root,
            env={**os.environ, **ports, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def start_ready(self) -> subprocess.Popen[str]:
        process = self.start("run")
        assert process.stdout is not None
        for line in process.stdout:
            if "Ctrl-C stops everything" in line:
                # The services answer by then; the consumer answers nobody, and may have only begun.
                wait_until(lambda: len(self.alive()) == 3, "all three parts run")
                return process
        raise AssertionError(process.communicate())

    def run(self, *words: str, **variables: str) -> tuple[int, str, str]:
        process = self.start(*words, **variables)
        output, errors = process.communicate(timeout=20)
        return process.returncode, output, errors

    def alive(self) -> list[str]:
        return [
            path.name for path in self.root.glob("pid-*") if Path("/proc", path.read_text(), "exe").exists()
        ]


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    tree = Tree(tmp_path)
    for name in OURS:
        tree.write(f"deploy/{name}", (ROOT / "deploy" / name).read_text())
    tree.write("deploy/part.py", PART)
    tree.write("deploy/prepare.py", "print('prepared')")
    tree.write("consumer/__main__.py", CONSUMER)
    tree.write("requirements.txt", "")
    tree.write("requirements-dev.txt", "")
    tree.write("gunicorn", f"#!{sys.executable}\n{GUNICORN}")
    create = f"mkdir -p .venv/bin && cp -p gunicorn .venv/bin && ln -s {sys.executable} .venv/bin/python"
    (tmp_path / "gunicorn").chmod(0o755)
    maker = virtual_environment.Maker(["sh", "-c", create], ["true"])
    made = virtual_environment.VirtualEnvironment(tmp_path, os.environ, print, [maker])
    made.ensure(virtual_environment.DEV_LOCK)
    yield tree
    for process in tree.started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=20)


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_run_ends_with_status_0_when_asked_and_leaves_no_process(tree: Tree, by: signal.Signals) -> None:
    if signal.getsignal(by) == signal.SIG_IGN:
        pytest.skip(f"{by.name} is ignored where these tests run")
    process = tree.start_ready()
    assert len(tree.alive()) == 3
    process.send_signal(by)
    _, errors = process.communicate(timeout=15)
    assert (process.returncode, errors, tree.alive()) == (0, "", [])


def test_what_takes_requests_stops_before_what_stores_them(tree: Tree) -> None:
    process = tree.start_ready()
    process.terminate()
    process.communicate(timeout=15)
    assert (tree.root / "stopped").read_text().splitlines()[0] == "deploy"


def test_a_signal_that_arrives_twice_at_once_is_one_request(tree: Tree) -> None:
    lingering = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), sys.exit(0)))"
    tree.write("consumer/__main__.py", CONSUMER.replace('print("consuming")', f"import sys\n{lingering}"))
    process = tree.start_ready()
    process.terminate()
    time.sleep(0.05)
    process.terminate()
    process.communicate(timeout=15)
    assert process.returncode == 0


def test_a_second_request_kills_at_once_with_status_1(tree: Tree) -> None:
    tree.write("consumer/__main__.py", STUBBORN)
    process = tree.start_ready()
    process.terminate()
    time.sleep(supervisor.SAME_REQUEST_SECONDS + 0.2)
    process.terminate()
    _, errors = process.communicate(timeout=5)
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1
    assert tree.alive() == []


def test_a_part_that_dies_takes_the_rest_down_and_its_reason_comes_last(tree: Tree) -> None:
    tree.write(
        "consumer/__main__.py", "import time; time.sleep(0.5); print('no database'); raise SystemExit(3)"
    )
    status, output, errors = tree.run("run")
    assert status == 1
    assert "consumer | no database" in output
    assert errors.splitlines() == ["consumer stopped with status 3:", "no database"]
    assert tree.alive() == []


def test_a_part_that_ignores_the_request_is_killed(tree: Tree) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); signal.pause()"
    output_path = tree.root / "output"
    with (
        output_path.open("w") as output,
        supervisor.Supervisor(tree.root, os.environ, output, head_start=0.1, patience=0.3) as running,
    ):
        running.start([supervisor.Part("deaf", [sys.executable, "-u", "-c", deaf])])
        while "deaf | deaf" not in output_path.read_text():
            time.sleep(0.01)
    assert "deaf did not stop within 0.3 s and is killed" in output_path.read_text()


def test_a_part_that_is_never_ready_fails_the_start(tree: Tree) -> None:
    sleeper = supervisor.Part(
        "admin", [sys.executable, "-c", "import time; time.sleep(60)"], tree.ports.admin
    )
    with supervisor.Supervisor(tree.root, os.environ, sys.stdout) as running:
        running.start([sleeper])
        with pytest.raises(supervisor.PartFailed, match=r"admin was not ready within 0\.3 s .*readyz"):
            running.wait_until_ready(0.3)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_no_part_survives_a_killed_supervisor(tree: Tree) -> None:
    process = tree.start_ready()
    process.kill()
    give_up_at = time.monotonic() + 5
    while tree.alive() and time.monotonic() < give_up_at:
        time.sleep(0.05)
    assert tree.alive() == []


def test_what_prepare_says_last_is_the_reason_and_its_status_ours(tree: Tree) -> None:
    tree.write("deploy/prepare.py", "import sys; print('AMQP_URL: no', file=sys.stderr); sys.exit(5)")
    status, _, errors = tree.run("run")
    assert (status, errors) == (5, "AMQP_URL: no\n")


@pytest.mark.parametrize("variable", ["INGEST_PORT", "ADMIN_PORT"])
def test_a_taken_port_is_one_line_naming_its_variable(tree: Tree, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, output, errors = tree.run("run", **{variable: str(taken.getsockname()[1])})
    assert (status, output) == (1, "")
    assert re.fullmatch(rf"{variable}: port \d+ .* cannot be used .*\n", errors)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_printed_curl_line_logs_in_and_posts_when_pasted(tree: Tree) -> None:
    tree.start_ready()
    text = local_system.welcome(tree.ports, has_demo_users=True)
    (line,) = [line for line in text.splitlines() if line.startswith("curl ")]
    answer = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert answer.stdout == "Bearer a.b-c"


def test_demo_gives_the_status_of_its_client_and_leaves_nothing_behind(tree: Tree) -> None:
    tree.write("deploy/demo.py", "import sys; print(sys.argv[1:]); sys.exit(4)")
    (tree.root / "tmp").mkdir()
    status, output, _ = tree.run("demo", TMPDIR=str(tree.root / "tmp"))
    assert status == 4
    assert re.fullmatch(r"\['--url', 'http://127.0.0.1:\d+', '--csv', 'deploy/sample/leads.csv'\]\n", output)
    assert list((tree.root / "tmp").iterdir()) == []
    assert tree.alive() == []


def test_demo_shows_what_the_system_said_when_that_fails(tree: Tree) -> None:
    tree.write("consumer/__main__.py", "print('no database'); raise SystemExit(3)")
    status, _, errors = tree.run("demo")
    assert status == 1
    assert "prepared" in errors
    assert errors.endswith("consumer stopped with status 3:\nno database\n")


@pytest.mark.parametrize(("target", "folder"), [("test", "tests"), ("test-unit", "tests/unit")])
def test_test_targets_hand_arguments_and_status_through(tree: Tree, target: str, folder: str) -> None:
    python = tree.root / ".venv/bin/python"
    python.unlink()
    python.write_text(ECHO.format(word="pytest"))
    python.chmod(0o755)
    expected = f"-m pytest -n 2 --dist loadgroup {folder} -k a or b\n"
    assert tree.run(target, "--", "-k", "a or b") == (7, expected, "")


@pytest.mark.parametrize(("typed", "handed_on"), [(["mine"], " mine"), ([""], ""), ([], "")])
def test_log_targets_hand_the_id_through(tree: Tree, typed: list[str], handed_on: str) -> None:
    python = tree.root / ".venv/bin/python"
    python.unlink()
    python.write_text(ECHO.format(word="nothing"))
    python.chmod(0o755)
    expected = f"-m deploy.show_logs api-request-data{handed_on}\n"
    assert tree.run("api-request-data", *typed) == (0, expected, "")


def test_check_runs_every_step_and_fails_if_one_does(tree: Tree) -> None:
    python = tree.root / ".venv/bin/python"
    python.unlink()
    python.write_text(ECHO.format(word="format"))
    python.chmod(0o755)
    status, output, errors = tree.run("check")
    assert status == 1
    assert "-m mypy" in output
    assert errors == "Failed: ruff format --check .\n"


def test_local_py_can_be_read_by_python_3_6() -> None:
    ast.parse((ROOT / "deploy/local.py").read_text(), feature_version=(3, 6))


def test_an_old_python_is_refused_in_one_line_with_status_2(tree: Tree) -> None:
    pretend = "import runpy, sys; sys.version_info = (3, 10, 13); sys.argv[1:] = ['run'];"
    pretend += "runpy.run_path('deploy/local.py', run_name='__main__')"
    command = [sys.executable, "-c", pretend]
    for old in ("python3.6", "python3.8", "python3.10"):
        found = shutil.which(old)
        if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            command = [found, "deploy/local.py", "run"]
    answer = subprocess.run(command, cwd=tree.root, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert re.fullmatch(r"Leadgate needs Python 3\.11 or newer; this is Python 3\.\d+\n", answer.stderr)


@pytest.mark.parametrize("words", [["nope"], ["run", "--fast"]])
def test_a_wrong_use_is_one_line_with_status_2(tree: Tree, words: list[str]) -> None:
    status, output, errors = tree.run(*words)
    assert (status, output, len(errors.splitlines())) == (2, "", 1)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_alone_lists_the_targets_of_local_py() -> None:
    answer = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = [line.split()[1] for line in answer.stdout.splitlines()]
    assert set(local.TARGETS) <= set(listed)

"""What the Makefile does, for machines without make: `python3 deploy/local.py TARGET`.

This file alone must be readable to Python 3.6, so that an old Python can be told in one line that it is too
old. It imports its neighbours only after that, and like them needs the standard library only.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
WRONG_USE = 2
INTERRUPTED = 130


def refusal(version: "tuple[int, int]") -> "str | None":
    """One line for the user of a Python that is too old; None for one that is new enough."""
    if version >= OLDEST_PYTHON:
        return None
    return "Leadgate needs Python 3.11 or newer; this is Python {}.{}".format(*version)


def show_help(arguments: "list[str]") -> int:
    print("python3 deploy/local.py TARGET, or make TARGET:\n")
    for name, (_, about) in TARGETS.items():
        print(f"  {name:20} {about}")
    return 0


def run(arguments: "list[str]") -> int:
    from deploy import local_system, virtual_environment

    return local_system.run(ROOT, os.environ, lambda: python_with(virtual_environment.RUNTIME_LOCK))


def demo(arguments: "list[str]") -> int:
    from deploy import local_system, virtual_environment

    return local_system.demo(ROOT, os.environ, lambda: python_with(virtual_environment.RUNTIME_LOCK))


def test(arguments: "list[str]") -> int:
    return become_pytest("tests", arguments)


def test_unit(arguments: "list[str]") -> int:
    return become_pytest("tests/unit", arguments)


def test_mysql(arguments: "list[str]") -> int:
    from deploy.virtual_environment import DEV_LOCK

    command = [str(python_with(DEV_LOCK)), "-m", "tests.mysql_server", *arguments]
    return subprocess.run(command, cwd=str(ROOT)).returncode


def fuzz(arguments: "list[str]") -> int:
    os.environ.setdefault("FUZZ_EXAMPLES", "60")
    return become_pytest("tests/system/test_fuzzing.py", ["-rP", *arguments])


def stories(arguments: "list[str]") -> int:
    os.environ.setdefault("STORIES", "30")
    return become_pytest("tests/system/test_whole_story.py", ["-rP", *arguments])


def postman_setup(arguments: "list[str]") -> int:
    from deploy.virtual_environment import RUNTIME_LOCK

    python = python_with(RUNTIME_LOCK)
    return subprocess.run([str(python), "-m", "deploy.postman"], cwd=str(ROOT)).returncode


def check(arguments: "list[str]") -> int:
    from deploy.virtual_environment import DEV_LOCK

    python = python_with(DEV_LOCK)
    failed = []
    for step in ("ruff format --check .", "ruff check .", "mypy"):
        print(f"== {step}", flush=True)
        if subprocess.run([str(python), "-m", *step.split()], cwd=str(ROOT)).returncode != 0:
            failed.append(step)
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def keys(arguments: "list[str]") -> int:
    return admin_command("rotate-jwt-keys", "--if-missing")


def reconcile(arguments: "list[str]") -> int:
    return admin_command("reconcile")


def admin_command(*words: str) -> int:
    """Run a command of the admin service in our own environment; its exit status."""
    from deploy.virtual_environment import RUNTIME_LOCK

    flask = python_with(RUNTIME_LOCK).with_name("flask")
    return subprocess.run([str(flask), "--app", "admin_service", *words], cwd=str(ROOT)).returncode


def load_test(profile: str) -> "Callable[[list[str]], int]":
    """The target that puts the load of that profile on the running system."""
    return lambda arguments: become_locust(profile)


def bench(arguments: "list[str]") -> int:
    from deploy.virtual_environment import BENCH_FOLDER, BENCH_LOCK

    return become_module(BENCH_LOCK, "tests.bench", arguments, BENCH_FOLDER)


def bench_growth(arguments: "list[str]") -> int:
    from deploy.virtual_environment import DEV_LOCK

    return become_module(DEV_LOCK, "tests.bench.growth", arguments)


def clear_cache(arguments: "list[str]") -> int:
    from deploy.caches import clear

    return clear(ROOT)


def logs(arguments: "list[str]") -> int:
    from deploy import run_log

    path = run_log.path_in(ROOT, os.environ)
    if not run_log.follow(path, sys.stdout):
        print(f"There is no log at {path}: `make run` writes it", file=sys.stderr)
        return 1
    return 0


def api_logs(arguments: "list[str]") -> int:
    return show_logs("api-logs", arguments)


def api_logs_errors(arguments: "list[str]") -> int:
    return show_logs("api-logs-errors", arguments)


def api_logs_full(arguments: "list[str]") -> int:
    return show_logs("api-logs-full", arguments)


def api_request_data(arguments: "list[str]") -> int:
    return show_logs("api-request-data", arguments)


def show_logs(target: str, arguments: "list[str]") -> int:
    """Turn this process into the reader of the running system's log of exchanges; that of `make run` is found
    by the same variables."""
    from deploy.virtual_environment import RUNTIME_LOCK

    return become_module(RUNTIME_LOCK, "deploy.show_logs", [target, *filter(None, arguments)])


TARGETS = {
    "help": (show_help, "show this list"),
    "run": (run, "run the whole system in the foreground, on SQLite unless *_URL variables name servers"),
    "demo": (demo, "post a sample of leads to a system of its own and show what became of them"),
    "test": (test, "run all tests; what follows `--` goes to pytest"),
    "test-unit": (test_unit, "run the tests that need no server; what follows `--` goes to pytest"),
    "test-mysql": (test_mysql, "run the tests that know MySQL on a real one, fetched from Debian for them"),
    "load-test": (
        load_test("complete"),
        "put a steady load, a peak and a steady load on the running system, and judge it",
    ),
    "test-load": (load_test("complete"), "the same as load-test"),
    "load-test-sustained": (load_test("sustained"), "the same with 1,000 leads a minute for 5 minutes"),
    "load-test-spike": (load_test("spike"), "the same with 17, 30 and again 17 leads a second"),
    "load-test-max": (load_test("max"), "post as fast as answers come, single leads and then batches of 500"),
    "fuzz": (fuzz, "send thousands of made-up requests to systems of its own; FUZZ_EXAMPLES=n for more"),
    "stories": (
        stories,
        "tell long stories to systems of its own and compare with a model; STORIES=n for more",
    ),
    "bench": (
        bench,
        "measure it beside other ways to build it and write docs/benchmarks.md; --help after `--`",
    ),
    "bench-growth": (
        bench_growth,
        "measure inserts and reads with 10,000 to 10,000,000 leads; ROWS=n for fewer",
    ),
    "postman-setup": (postman_setup, "write the Postman collection and its environments, ready for import"),
    "logs": (logs, "show the last lines of what the running system says, and those that come"),
    "api-logs": (api_logs, "show the last 10 API exchanges"),
    "api-logs-errors": (api_logs_errors, "show the last 10 that ended in an error"),
    "api-logs-full": (api_logs_full, "show all exchanges with a request id in full"),
    "api-request-data": (api_request_data, "show the newest of them in full"),
    "keys": (keys, "make a key that signs JWTs if there is none"),
    "reconcile": (reconcile, "compare what was accepted with what was settled; fails if anything is missing"),
    "check": (check, "check formatting, lint and types"),
    "clear-cache": (clear_cache, "remove what tools and Python have kept to be faster; no data"),
}
TAKE_ARGUMENTS = (
    "test",
    "test-unit",
    "test-mysql",
    "fuzz",
    "stories",
    "bench",
    "bench-growth",
    "api-logs-full",
    "api-request-data",
)


def python_with(lock: str, folder: str = ".venv") -> Path:
    """The Python of `folder` with `lock` installed. Raises CannotPrepare."""
    from deploy.virtual_environment import VirtualEnvironment

    environment = VirtualEnvironment(ROOT, os.environ, lambda line: print(line, flush=True), folder=folder)
    return environment.ensure(lock)


def become_pytest(folder: str, arguments: "list[str]") -> int:
    """Turn this process into pytest over `folder`, or over the paths under tests/ among `arguments`."""
    from deploy.virtual_environment import DEV_LOCK

    # What stands later wins, so `-n 0` among the arguments turns the two workers off.
    workers = [] if {"--pdb", "no:xdist"}.intersection(arguments) else ["-n", "2", "--dist", "loadgroup"]
    named = any(word.startswith("tests") and (ROOT / word.split("::")[0]).exists() for word in arguments)
    return become_module(DEV_LOCK, "pytest", [*workers, *([] if named else [folder]), *arguments])


def become_module(lock: str, module: str, arguments: "list[str]", folder: str = ".venv") -> int:
    """Turn this process into `python -m module` with what `lock` holds, installed in `folder`."""
    python = str(python_with(lock, folder))
    os.chdir(str(ROOT))
    os.execv(python, [python, "-m", module, *arguments])  # noqa: S606


def become_locust(profile: str) -> int:
    """Turn this process into Locust with the load of that profile. Raises WrongDuration."""
    from deploy.load import locust
    from deploy.virtual_environment import DEV_LOCK

    command = locust(python_with(DEV_LOCK), profile, os.environ)
    os.chdir(str(ROOT))
    os.execv(command[0], command)  # noqa: S606


def stop_at_first_signal() -> None:
    """Turn the first stop signal into a KeyboardInterrupt and ignore the rest, so that nothing disturbs the
    cleaning up."""
    from deploy.supervisor import on_stop_signals

    def interrupt(received: object) -> None:
        on_stop_signals(lambda again: None)
        raise KeyboardInterrupt

    on_stop_signals(interrupt)


def main(words: "list[str]") -> int:
    """Do what the first word names with the other words; the exit status."""
    too_old = refusal(sys.version_info[:2])
    if too_old:
        print(too_old, file=sys.stderr)
        return WRONG_USE
    name = words[0] if words else "help"
    arguments = words[2:] if words[1:2] == ["--"] else words[1:]
    if name in ("-h", "--help"):
        name = "help"
    if name not in TARGETS:
        print(f"No target {name!r}; there are {', '.join(TARGETS)}", file=sys.stderr)
        return WRONG_USE
    if arguments and name not in TAKE_ARGUMENTS:
        print(f"{name} takes no arguments, got {' '.join(arguments)!r}", file=sys.stderr)
        return WRONG_USE
    return perform(name, arguments)


def perform(name: str, arguments: "list[str]") -> int:
    """Run one target; what it raises becomes a line and an exit status."""
    # Started as a file, Python looks for modules in deploy/; as the services, it must look in the root.
    sys.path[:] = [str(ROOT), *(entry for entry in sys.path if Path(entry).resolve() != ROOT / "deploy")]
    from deploy.load import WrongDuration
    from deploy.local_system import PortRefused
    from deploy.virtual_environment import CannotPrepare

    stop_at_first_signal()
    try:
        return TARGETS[name][0](arguments)
    except CannotPrepare as error:
        print(error, file=sys.stderr)
        return error.status
    except WrongDuration as error:
        print(error, file=sys.stderr)
        return WRONG_USE
    except PortRefused as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if name == "run" else INTERRUPTED


if __name__ == "__main__":
    status = main(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:
        # Who read our output has gone; Python would complain about that once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)

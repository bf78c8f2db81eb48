"""How `.venv` is made, with makers that take milliseconds and write down what they were asked to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import virtual_environment
from deploy.virtual_environment import (
    BENCH_FOLDER,
    BENCH_LOCK,
    DEV_LOCK,
    RUNTIME_LOCK,
    CannotPrepare,
    Maker,
    VirtualEnvironment,
)

ROOT = Path(virtual_environment.__file__).parent.parent
CREATE = 'echo create >> log; mkdir -p "$0/bin" && touch "$0/bin/pip" && ln -s /bin/sh "$0/bin/python"'
INSTALL = 'echo install $(basename "$0") >> log'


def _maker(create: str = CREATE, install: str = INSTALL) -> Maker:
    return Maker(["sh", "-c", create], ["sh", "-c", install])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / RUNTIME_LOCK).write_text("flask==1\n")
    (tmp_path / DEV_LOCK).write_text("flask==1\npytest==1\n")
    return tmp_path


def _ensure(root: Path, lock: str = RUNTIME_LOCK, *makers: Maker) -> list[str]:
    """What the maker did to make `.venv` fit."""
    log = root / "log"
    log.write_text("")
    VirtualEnvironment(root, os.environ, lambda line: None, makers or [_maker()]).ensure(lock)
    return log.read_text().splitlines()


def test_it_is_made_once(root: Path) -> None:
    assert _ensure(root) == ["create", "install requirements.txt"]
    assert _ensure(root) == []


def test_another_lock_makes_it_anew(root: Path) -> None:
    _ensure(root)
    (root / RUNTIME_LOCK).write_text("flask==2\n")
    assert _ensure(root) == ["create", "install requirements.txt"]


def test_another_python_makes_it_anew(root: Path) -> None:
    _ensure(root)
    marker = root / ".venv" / virtual_environment.MARKER
    marker.write_text(marker.read_text().replace("cpython-3", "cpython-2"))
    assert _ensure(root) == ["create", "install requirements.txt"]


def test_a_removed_interpreter_makes_it_anew(root: Path) -> None:
    _ensure(root)
    (root / ".venv/bin/python").unlink()
    (root / ".venv/bin/python").symlink_to(root / "gone")
    assert _ensure(root) == ["create", "install requirements.txt"]


def test_a_moved_tree_makes_it_anew(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    _ensure(root)
    moved = root.rename(tmp_path_factory.mktemp("elsewhere") / "tree")
    assert _ensure(moved) == ["create", "install requirements.txt"]


def test_a_half_made_one_is_made_anew(root: Path) -> None:
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".venv/half").touch()
    assert _ensure(root) == ["create", "install requirements.txt"]
    assert not (root / ".venv/half").exists()


def test_the_dev_lock_is_added_without_disturbing_what_runs(root: Path) -> None:
    _ensure(root)
    assert _ensure(root, DEV_LOCK) == ["install requirements-dev.txt"]


def test_a_dev_environment_is_enough_to_run(root: Path) -> None:
    _ensure(root, DEV_LOCK)
    assert _ensure(root, RUNTIME_LOCK) == []


def test_a_dev_environment_with_another_runtime_lock_is_made_anew(root: Path) -> None:
    _ensure(root, DEV_LOCK)
    (root / RUNTIME_LOCK).write_text("flask==2\n")
    assert _ensure(root, RUNTIME_LOCK) == ["create", "install requirements.txt"]


def test_a_failed_install_shows_its_last_lines_and_leaves_no_folder(root: Path) -> None:
    failing = _maker(install="seq 100; echo no such package; exit 1")
    with pytest.raises(CannotPrepare) as caught:
        _ensure(root, RUNTIME_LOCK, failing)
    lines = str(caught.value).splitlines()
    assert lines[-2:] == ["no such package", ".venv: requirements.txt could not be installed, see above"]
    assert len(lines) == virtual_environment.LINES_SHOWN + 1
    assert caught.value.status == 1
    assert not (root / ".venv").exists()


def test_a_failed_dev_install_leaves_what_runs(root: Path) -> None:
    _ensure(root)
    with pytest.raises(CannotPrepare):
        _ensure(root, DEV_LOCK, _maker(install="exit 1"))
    assert _ensure(root) == []


def test_an_interrupt_leaves_no_folder(root: Path) -> None:
    def interrupt(line: str) -> None:
        assert (root / ".venv").exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        VirtualEnvironment(root, os.environ, interrupt, [_maker()]).ensure(RUNTIME_LOCK)
    assert not (root / ".venv").exists()


def test_the_next_maker_is_tried_when_one_fails(root: Path) -> None:
    broken = _maker(create='mkdir -p "$0/half"; exit 1')
    assert _ensure(root, RUNTIME_LOCK, broken, _maker()) == ["create", "install requirements.txt"]
    assert not (root / ".venv/half").exists()


def test_makers_that_all_fail_give_one_line_naming_the_package_and_status_2(root: Path) -> None:
    with pytest.raises(CannotPrepare) as caught:
        _ensure(root, RUNTIME_LOCK, _maker(create='mkdir "$0"; echo one; echo no ensurepip; exit 1'))
    assert str(caught.value).startswith(".venv cannot be made (no ensurepip); ")
    assert "apt-get install python3-venv" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.status == 2
    assert not (root / ".venv").exists()


def test_what_the_machine_has_decides_who_makes_it(root: Path) -> None:
    def makers(modules: set[str], commands: set[str]) -> list[str]:
        found = virtual_environment.available_makers(
            "py", root, modules.__contains__, lambda name: name if name in commands else None
        )
        return [
            " ".join(maker.create).removeprefix(sys.executable).split(" --")[0].strip() for maker in found
        ]

    everything = makers({"venv", "ensurepip", "virtualenv"}, {"virtualenv", "uv"})
    assert everything == ["py -m venv", "-m virtualenv", "virtualenv", "uv venv"]
    assert makers({"venv"}, {"uv"}) == ["uv venv"]
    assert makers({"venv"}, set()) == []


def test_a_machine_without_any_maker_gets_one_line_and_status_2(root: Path) -> None:
    pretend = "import importlib.util, os, sys; importlib.util.find_spec = lambda name: None;"
    pretend += "os.environ['PATH'] = ''; from deploy import local; local.ROOT = local.Path(sys.argv[1]);"
    pretend += "sys.exit(local.main(['demo']))"
    answer = subprocess.run(
        [sys.executable, "-c", pretend, root], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.count("\n") == 1
    assert "apt-get install python3-venv" in answer.stderr
    assert not (root / ".venv").exists()


def test_two_at_once_make_it_once(root: Path) -> None:
    slow = CREATE.replace("echo create", "sleep 0.3; echo create")
    program = f"""
import os, sys
from pathlib import Path
from deploy.virtual_environment import Maker, VirtualEnvironment
makers = [Maker(["sh", "-c", {slow!r}], ["sh", "-c", {INSTALL!r}])]
print(VirtualEnvironment(Path(sys.argv[1]), os.environ, lambda line: None, makers).ensure({RUNTIME_LOCK!r}))
"""
    both = [subprocess.Popen([sys.executable, "-c", program, root], cwd=ROOT) for _ in range(2)]
    assert [process.wait(timeout=20) for process in both] == [0, 0]
    assert (root / "log").read_text().splitlines() == ["create", "install requirements.txt"]


def test_what_benchmarks_compare_with_gets_a_folder_of_its_own(root: Path) -> None:
    (root / BENCH_LOCK).write_text("flask==1\nfastapi==1\n")
    _ensure(root)
    environment = VirtualEnvironment(root, os.environ, lambda line: None, [_maker()], BENCH_FOLDER)
    assert environment.ensure(BENCH_LOCK) == root / ".venv-bench/bin/python"
    assert _ensure(root) == []


@pytest.mark.parametrize("lock", [DEV_LOCK, BENCH_LOCK])
def test_every_lock_holds_what_is_in_the_runtime_lock(lock: str) -> None:
    def pins(name: str) -> set[str]:
        return {line.split()[0] for line in (ROOT / name).read_text().splitlines() if "==" in line}

    assert pins(RUNTIME_LOCK) - pins(lock) == set()

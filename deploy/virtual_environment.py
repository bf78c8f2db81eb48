"""Makes a virtual environment from a hashed lock, and makes it anew when it no longer fits.

It runs before anything is installed, so it needs the standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RUNTIME_LOCK = "requirements.txt"
DEV_LOCK = "requirements-dev.txt"  # holds every line of the runtime lock
BENCH_LOCK = "requirements-bench.txt"  # the same
FOLDER = ".venv"
BENCH_FOLDER = ".venv-bench"  # what we are only compared with never gets into `.venv`
GUARD = ".venv.lock"
MARKER = "made-from.json"
LINES_SHOWN = 15


class CannotPrepare(Exception):
    """`.venv` cannot be made: the message ends in one line for the user, `status` is the exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Maker:
    """A tool that makes virtual environments: how it makes one, and how it installs a lock into it.

    The folder is the last word of `create`, the lock that of `install`; neither is there yet.
    """

    create: Sequence[str]
    install: Sequence[str]


def available_makers(
    python: str,
    folder: Path,
    has_module: Callable[[str], bool] = lambda name: importlib.util.find_spec(name) is not None,
    command: Callable[[str], str | None] = shutil.which,
) -> list[Maker]:
    """What this machine has to make `folder` for `python`, the best first.

    Debian's python3 has the module `venv` without the `ensurepip` that it needs.
    """
    hashed = ["--quiet", "--require-hashes", "--only-binary", ":all:", "-r"]
    inside = str(folder / "bin" / "python")
    with_pip = [inside, "-m", "pip", "install", *hashed]
    makers = []
    if has_module("venv") and has_module("ensurepip"):
        makers.append(Maker([python, "-m", "venv"], with_pip))
    if has_module("virtualenv"):
        makers.append(Maker([sys.executable, "-m", "virtualenv", "--quiet", "--python", python], with_pip))
    if virtualenv := command("virtualenv"):
        makers.append(Maker([virtualenv, "--quiet", "--python", python], with_pip))
    if uv := command("uv"):
        install = [uv, "pip", "install", "--python", inside, *hashed]
        makers.append(Maker([uv, "venv", "--quiet", "--python", python], install))
    return makers


class VirtualEnvironment:
    """A folder under `root`, `.venv` unless told otherwise, with a marker in it that tells what it was made
    from.

    `makers` are tried in turn; `environment` is what they run with; `say` gets lines for the user.
    """

    def __init__(
        self,
        root: Path,
        environment: Mapping[str, str],
        say: Callable[[str], None],
        makers: Sequence[Maker] | None = None,
        folder: str = FOLDER,
    ) -> None:
        self.folder = root / folder
        self.python = self.folder / "bin" / "python"
        self._root = root
        self._environment = {
            **environment,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "PIP_USER": "0",
        }
        self._say = say
        # When .venv itself runs us, it must not make its own successor.
        base = getattr(sys, "_base_executable", sys.executable)
        self._makers = available_makers(base, self.folder) if makers is None else makers

    def ensure(self, lock: str) -> Path:
        """The environment's Python, with everything installed that `lock` names. Raises CannotPrepare."""
        try:
            if not self._satisfies(lock):
                with self._only_one() as guard:
                    if not self._satisfies(lock):
                        self._make(lock, guard)
        except OSError as error:
            raise CannotPrepare(f"{self.folder.name} cannot be made: {error}", 1) from error
        return self.python

    def _make(self, lock: str, guard: int) -> None:
        # The larger lock only adds to the smaller one, so a system that runs from .venv is not disturbed.
        has_pip = (self.folder / "bin" / "pip").exists()
        makes_anew = lock == RUNTIME_LOCK or not has_pip or not self._satisfies(RUNTIME_LOCK)
        try:
            maker = self._create(guard) if makes_anew else self._makers_or_refuse()[0]
            self._say(f"Preparing {self.folder.name} (once, about a minute) ...")
            installed = self._call([*maker.install, str(self._root / lock)], guard)
            if installed.returncode != 0:
                why = _last_lines(installed.stdout)
                raise CannotPrepare(f"{why}\n{self.folder.name}: {lock} could not be installed, see above", 1)
            self._write_marker([RUNTIME_LOCK, lock])
        except BaseException:
            if makes_anew:
                self._remove()
            raise

    def _create(self, guard: int) -> Maker:
        """Make the folder with the first maker that can; that maker. Raises CannotPrepare."""
        why = ""
        for maker in self._makers_or_refuse():
            self._remove()
            try:
                created = self._call([*maker.create, str(self.folder)], guard)
            except OSError as error:
                why = str(error)
                continue
            if created.returncode == 0:
                return maker
            why = _last_lines(created.stdout, 1)
        raise CannotPrepare(f"{self.folder.name} cannot be made ({why}); {_what_to_install()}", 2)

    def _makers_or_refuse(self) -> Sequence[Maker]:
        if not self._makers:
            raise CannotPrepare(f"Python's venv is missing; {_what_to_install()}", 2)
        return self._makers

    def _call(self, command: Sequence[str], guard: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self._root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            pass_fds=[guard],  # held until the last writer is gone, even if we are killed
            check=False,
        )

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[int]:
        """Keep others from making it at the same time; gives the descriptor that holds the lock."""
        with (self._root / GUARD).open("w") as guard:
            try:
                fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._say(f"Waiting for another command that prepares {self.folder.name} ...")
                fcntl.flock(guard, fcntl.LOCK_EX)
            yield guard.fileno()

    def _satisfies(self, lock: str) -> bool:
        try:
            marker = json.loads((self.folder / MARKER).read_text("utf-8"))
        except (OSError, ValueError):
            return False
        # The interpreter that it was made from may be gone: then its python is a dangling link.
        return os.access(self.python, os.X_OK) and self._facts([lock]).items() <= marker.items()

    def _facts(self, locks: Sequence[str]) -> dict[str, str]:
        """What must be so for an environment with these locks installed to fit; the marker's content."""
        place = {"python": str(sysconfig.get_config_var("SOABI")), "folder": str(self.folder)}
        return place | {lock: self._digest(lock) for lock in locks}

    def _digest(self, lock: str) -> str:
        try:
            return hashlib.sha256((self._root / lock).read_bytes()).hexdigest()
        except OSError as error:
            raise CannotPrepare(f"{lock} cannot be read: {error.strerror}", 1) from error

    def _write_marker(self, locks: Sequence[str]) -> None:
        unfinished = self.folder / f"{MARKER}.new"
        unfinished.write_text(json.dumps(self._facts(locks), indent=1), "utf-8")
        unfinished.replace(self.folder / MARKER)

    def _remove(self) -> None:
        """Remove the folder, its marker first: without that it counts as half made."""
        (self.folder / MARKER).unlink(missing_ok=True)
        if self.folder.is_symlink() or self.folder.is_file():
            self.folder.unlink()
        elif self.folder.exists():
            shutil.rmtree(self.folder)


def _what_to_install() -> str:
    return "install it: `apt-get install python3-venv` on Debian and Ubuntu (or have `virtualenv` or `uv`)"


def _last_lines(output: str, count: int = LINES_SHOWN) -> str:
    return "\n".join(output.strip().splitlines()[-count:])

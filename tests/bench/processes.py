"""What the kernel knows of processes: the CPU they have used, the memory they hold, who listens where."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
LISTENING = "0A"


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process so far."""
    return cpu_of_stat((PROC / str(pid) / "stat").read_text())


def cpu_of_stat(stat: str) -> float:
    """utime + stime of a line of /proc/PID/stat, in seconds; the name in it may have blanks and brackets."""
    after_name = stat.rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / TICKS


def resident_mib(pid: int) -> float:
    """The memory a process holds now."""
    return resident_of_status((PROC / str(pid) / "status").read_text())


def resident_of_status(status: str) -> float:
    """VmRSS of /proc/PID/status in MiB."""
    found = re.search(r"^VmRSS:\s*(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def children(pid: int) -> list[int]:
    """The processes that `pid` has started."""
    return [int(child) for child in (PROC / str(pid) / "task" / str(pid) / "children").read_text().split()]


def listening(port: int) -> int:
    """The process that listens on `port` of this machine; 0 if it cannot be seen."""
    inodes = {
        inode for name in ("tcp", "tcp6") for inode in listeners((PROC / "net" / name).read_text(), port)
    }
    sockets = {f"socket:[{inode}]" for inode in inodes}
    for folder in PROC.glob("[0-9]*/fd"):
        try:
            if not sockets.isdisjoint(_links(folder)):
                return int(folder.parent.name)
        except OSError:  # not ours to look at, or gone
            continue
    return 0


def _links(folder: Path) -> Iterator[str]:
    """Where the links in it point; those that go meanwhile are left out, as a busy server closes files."""
    for entry in folder.iterdir():
        with suppress(FileNotFoundError):
            yield str(entry.readlink())


def listeners(table: str, port: int) -> list[str]:
    """The inodes of sockets that listen on `port`, in the format of /proc/net/tcp."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return [row[9] for row in rows if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port]


class CpuClock:
    """CPU used by each of some processes since it was started. `pids` names them; 0 counts as none."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = {name: pid for name, pid in pids.items() if pid}
        self._begun = {name: cpu_seconds(pid) for name, pid in self._pids.items()}

    def used(self) -> dict[str, float]:
        """Seconds, by name."""
        return {name: cpu_seconds(pid) - self._begun[name] for name, pid in self._pids.items()}

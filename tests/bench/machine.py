"""What a benchmark ran on: the machine and the versions, nothing that would name a host."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

LIBRARIES = ("flask", "gunicorn", "gevent", "flask-jwt-extended", "flask-limiter", "marshmallow", "pika")
OF_WRITING = ("sqlalchemy", "pymysql", "orjson")


def machine(servers: dict[str, str], libraries: Sequence[str] = (*LIBRARIES, *OF_WRITING)) -> dict[str, str]:
    """Facts by name. `servers` names each server with its version; a library that is not installed is left
    out."""
    return {
        "cores": str(os.cpu_count()),
        "CPU": cpu_model(Path("/proc/cpuinfo").read_text()),
        "memory": memory(Path("/proc/meminfo").read_text()),
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **servers,
        "libraries": ", ".join(f"{name} {version}" for name, version in versions(libraries)),
    }


def cpu_model(cpuinfo: str) -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def memory(meminfo: str) -> str:
    found = re.search(r"^MemTotal:\s*(\d+) kB$", meminfo, re.MULTILINE)
    return f"{round(int(found[1]) / 1024**2)} GiB" if found else "unknown"


def versions(libraries: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for name in libraries:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found

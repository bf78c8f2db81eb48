"""Runs Locust against the system that is running on this machine: `make load-test…`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

WEB_PORT = "8089"
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


class WrongDuration(Exception):
    """DURATION is none; says what it takes."""


def locust(python: Path, profile: str, environment: Mapping[str, str]) -> list[str]:
    """The command that puts the load of `profile` on the system at INGEST_PORT, and judges it.

    DURATION makes it shorter or longer than the profile says; with WEB=1 it waits for Locust's own page
    to start it. Raises WrongDuration.
    """
    name = "load-test" if profile == "complete" else f"load-test-{profile}"
    report = Path(environment.get("DATA_DIR") or "var", "load", f"{name}.html")
    command = [str(python), "-m", "locust", "-f", "tests/load/locustfile.py", "--load", profile]
    command += ["--host", f"http://127.0.0.1:{environment.get('INGEST_PORT') or 8080}"]
    command += ["--stop-timeout", "10", "--exit-code-on-error", "0", "--html", str(report)]
    if environment.get("DURATION"):
        command += ["--duration", str(seconds(environment["DURATION"]))]
    if environment.get("WEB") == "1":
        return [*command, "--web-host", "127.0.0.1", "--web-port", WEB_PORT]
    return [*command, "--headless", "--only-summary", "--loglevel", "WARNING"]


def seconds(duration: str) -> int:
    """`90`, `90s`, `5m` or `1h` as seconds. Raises WrongDuration."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smh]?)", duration)
    if match is None:
        raise WrongDuration(f"DURATION: got {duration!r}, takes seconds, or a number with s, m or h: 90, 5m")
    return int(match[1]) * _UNITS[match[2]]

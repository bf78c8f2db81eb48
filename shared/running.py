"""Starting and stopping what an app does beside answering requests."""

from __future__ import annotations

from typing import Protocol

from flask import Flask

from shared.access import access_of


class Runs(Protocol):
    """Something with threads of its own."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def runs_beside(app: Flask, *parts: Runs) -> None:
    """Names what `start` starts, in this order, and `stop` stops, in the other."""
    app.extensions["leadgate.runs_beside"] = parts


def start(app: Flask) -> None:
    """Starts what runs beside `app`, in the process that answers. Raises NoKeys without a JWT key."""
    access_of(app).keys.current()
    for part in app.extensions["leadgate.runs_beside"]:
        part.start()


def stop(app: Flask) -> None:
    """Stops it: what was accepted is published before this returns."""
    for part in reversed(app.extensions["leadgate.runs_beside"]):
        part.stop()

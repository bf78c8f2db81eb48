"""Both services behind one address, as the production gateway gives it: `make run` serves this on :8080."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Flask

import admin_service
import ingest_service
from shared.observability import start_logging
from shared.running import start
from shared.settings import read_settings


class OneAddress:
    """Gives reads of leads and everything for admins and partners' pages to the admin service."""

    def __init__(self, ingest: Flask, admin: Flask) -> None:
        self.ingest = ingest
        self.admin = admin
        self.apps = (ingest, admin)

    def __call__(self, environ: dict[str, object], start_response: object) -> Iterable[bytes]:
        app = self.admin if _is_for_admin(environ) else self.ingest
        return app(environ, start_response)  # type: ignore[arg-type]


def _is_for_admin(environ: dict[str, object]) -> bool:
    path = str(environ.get("PATH_INFO", ""))
    if _under(path, "/admin") or _under(path, "/partner"):
        return True
    return environ.get("REQUEST_METHOD") in ("GET", "HEAD") and _under(path, "/api/leads")


def _under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")


def build() -> OneAddress:
    """Both services, started, from the environment."""
    settings = read_settings()
    start_logging(settings, "both services")
    one = OneAddress(ingest_service.create_app(settings), admin_service.create_app(settings))
    for app in one.apps:
        start(app)
    return one


app = build()

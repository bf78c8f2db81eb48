"""Log lines on standard error, and what a process says of itself when it starts."""

from __future__ import annotations

import logging
import sys
import time

from flask import g, has_request_context

from shared.settings import Settings, effective


class _Line(logging.Formatter):
    """`time level logger message`, with the request id where there is a request."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        request_id = g.get("request_id") if has_request_context() else None
        return f"{line} request_id={request_id}" if request_id else line


def start_logging(settings: Settings, process: str) -> None:
    """Sends log lines to standard error; the first one is the configuration in force, secrets masked."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Line("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    )
    root = logging.getLogger("leadgate")
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    root.propagate = False
    shown = " ".join(f"{name}={value}" for name, value in effective(settings).items() if value)
    root.info("%s starts with %s", process, shown)

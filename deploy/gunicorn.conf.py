"""gunicorn's settings for both services: `gunicorn -c deploy/gunicorn.conf.py ingest_service.wsgi:app`."""

import sys
from typing import Any

from shared.keys import read_keys
from shared.settings import read_settings

_settings = read_settings()
_port = _settings.admin_port if "admin_service.wsgi:app" in sys.argv else _settings.ingest_port

bind = f"{_settings.bind_host}:{_port}"
workers = _settings.web_workers
worker_class = "deploy.web_worker.WebWorker"
keepalive = 75
timeout = 30
graceful_timeout = 6  # a lead is decided within 5
control_socket_disable = True
loglevel = "warning"


def on_starting(_server: Any) -> None:
    """Refuses the start in one line: a worker without keys would be started over and over."""
    read_keys(_settings.jwt_keys_path)


def worker_exit(_server: Any, worker: Any) -> None:
    """After the last answer: publishes what was accepted and what the consumers should know."""
    from shared.running import stop

    wsgi = getattr(worker, "wsgi", None)
    for app in getattr(wsgi, "apps", [wsgi] if wsgi else []):
        stop(app)

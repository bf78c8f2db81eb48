"""The ingest service as it is, sampled from its first lead on: gunicorn serves `profiled_ingest:app`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ingest_service.wsgi import app as ingest
from tests.bench.sampling import sample


class Sampled:
    """Starts the sampling when the first lead comes, so that starting up is no part of it."""

    def __init__(self) -> None:
        self.apps = [ingest]  # which our gunicorn settings stop at the end
        self._is_sampling = False

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not self._is_sampling and environ["PATH_INFO"].startswith("/api/leads"):
            self._is_sampling = True
            sample()
        return ingest(environ, start_response)


app = Sampled()

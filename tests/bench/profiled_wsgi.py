"""A WSGI app as it is, sampled from its first lead on: gunicorn serves `profiled_wsgi:app`, and BENCH_APP
names the one inside, as `module:name`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from tests.bench.sampling import sample

LEADS = "/api/leads"


class Sampled:
    """Starts the sampling when the first lead comes, so that starting up is no part of it."""

    def __init__(self, served: Any) -> None:
        self.apps = [served]  # which our gunicorn settings stop at the end
        self._served = served
        self._is_sampling = False

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not self._is_sampling and environ["PATH_INFO"].startswith(LEADS):
            self._is_sampling = True
            sample()
        answer: Iterable[bytes] = self._served(environ, start_response)
        return answer


_module, _, _name = os.environ["BENCH_APP"].partition(":")
app = Sampled(getattr(import_module(_module), _name))

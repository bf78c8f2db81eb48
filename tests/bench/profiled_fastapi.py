"""The FastAPI rival as it is, sampled from its first lead on: uvicorn serves `profiled_fastapi:app`."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from tests.bench.fastapi_rival import app as rival
from tests.bench.sampling import sample


class Sampled:
    """Writes its samples when the app has shut down: uvicorn leaves by the signal that it was stopped by."""

    def __init__(self) -> None:
        self._finish: Callable[[], None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._finish is None:
            self._finish = sample()
        await rival(scope, receive, send)
        if scope["type"] == "lifespan" and self._finish is not None:
            self._finish()


app = Sampled()

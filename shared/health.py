"""`/livez` and `/readyz`: whether the process runs, and whether it could do its work now."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response

from shared.access import open_to_all
from shared.errors import ApiError, answer


def health_blueprint(fault: Callable[[], str | None]) -> Blueprint:
    """The two routes; `fault` says what keeps the service from doing its work, or None."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/livez")
    @open_to_all
    def livez() -> Response:
        """Whether the process answers; depends on nothing else."""
        return answer(200, {"status": "ok"})

    @blueprint.get("/readyz")
    @open_to_all
    def readyz() -> Response:
        """Whether the service could do its work now."""
        why = fault()
        if why is not None:
            raise ApiError(503, why, headers={"Retry-After": "1"})
        return answer(200, {"status": "ok"})

    return blueprint

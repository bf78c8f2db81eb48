"""`/livez` and `/readyz`: whether the process runs, and whether it could do its work now."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response

from shared.access import open_to_all
from shared.api_schemas import closed
from shared.errors import ApiError, answer
from shared.openapi import Answer, answers

_WELL = {200: Answer("All is well", closed("Health", {"status": {"const": "ok"}}))}


def health_blueprint(fault: Callable[[], str | None]) -> Blueprint:
    """The two routes; `fault` says what keeps the service from doing its work, or None."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/livez")
    @open_to_all
    @answers(_WELL)
    def livez() -> Response:
        """Whether the process answers; depends on nothing else."""
        return answer(200, {"status": "ok"})

    @blueprint.get("/readyz")
    @open_to_all
    @answers(_WELL, errors=(503,))
    def readyz() -> Response:
        """Whether the service could do its work now."""
        why = fault()
        if why is not None:
            raise ApiError(503, why, headers={"Retry-After": "1"})
        return answer(200, {"status": "ok"})

    return blueprint

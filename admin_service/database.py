"""The engine a view works with."""

from __future__ import annotations

from typing import cast

from flask import current_app
from sqlalchemy import Engine


def engine_of_app() -> Engine:
    """The engine that the current app was built with."""
    return cast(Engine, current_app.extensions["leadgate.engine"])

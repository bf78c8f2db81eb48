"""What a request is answered that the database does not answer: 503, in the shape of every error."""

from __future__ import annotations

import logging
import sqlite3

from flask import Flask, Response
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from shared.errors import ApiError, answer_error

log = logging.getLogger("leadgate.database")

RETRY_SECONDS = 5
_OUT_OF_TIME = {1969, 3024}  # MariaDB's and MySQL's number for a statement that was stopped


def init_database_errors(app: Flask) -> None:
    """Makes a database that is gone or too slow a 503 of `app`; all other faults of a statement stay 500."""
    for error in (OperationalError, InterfaceError, NoConnectionFree):
        app.register_error_handler(error, _answer_unavailable)


def _answer_unavailable(error: SQLAlchemyError) -> Response:
    log.warning("no answer from the database: %s", str(error).splitlines()[0])
    message = "The database cannot be reached now; try again"
    if isinstance(error, DBAPIError) and is_out_of_time(error):
        message = "This takes too long to look up; ask for less, or try again"
    return answer_error(ApiError(503, message, headers={"Retry-After": str(RETRY_SECONDS)}))


def is_out_of_time(error: DBAPIError) -> bool:
    """Whether the statement was stopped because it took too long."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
    return bool(cause and cause.args and cause.args[0] in _OUT_OF_TIME)

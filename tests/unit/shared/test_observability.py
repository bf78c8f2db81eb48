"""What a process logs."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest
from flask import Flask, g

from shared.observability import start_logging
from shared.settings import Settings


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger("leadgate")
    before = (root.handlers[:], root.level, root.propagate)
    yield
    root.handlers[:], root.level, root.propagate = before


def test_the_first_line_is_the_configuration_in_force_with_passwords_masked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start_logging(Settings(amqp_url="amqp://user:s3cret@host"), "consumer")
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO leadgate consumer starts with APP_ENV=", line
    )
    assert "AMQP_URL=amqp://user:***@host" in line
    assert "RATE_LIMIT_PER_MINUTE=1000" in line
    assert "s3cret" not in line


def test_a_line_within_a_request_has_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(Settings(), "ingest service")
    with Flask("test").test_request_context():
        g.request_id = "mine"
        logging.getLogger("leadgate.leads").warning("refused")
    logging.getLogger("leadgate.leads").warning("stopping")
    _, within, without = capsys.readouterr().err.splitlines()
    assert within.endswith("WARNING leadgate.leads refused request_id=mine")
    assert without.endswith("WARNING leadgate.leads stopping")


def test_lines_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(Settings(log_level="error"), "consumer")
    logging.getLogger("leadgate.consumer").warning("minor")
    logging.getLogger("leadgate.consumer").error("major")
    assert capsys.readouterr().err.count("\n") == 1

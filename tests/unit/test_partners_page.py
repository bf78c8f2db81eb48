"""The requests shown in docs/partners.md are accepted as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.unit.conftest import signed_in_as

PAGE = Path(__file__).parents[2] / "docs" / "partners.md"
EXAMPLES = re.findall(r"```http\nPOST (\S+)\n(.*?)\n\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_there_is_one_for_each_way_to_come_in_that_the_commands_leave_out() -> None:
    paths = [path for path, _, _ in EXAMPLES]
    assert paths == ["/api/leads/batch", "/api/leads/batch", "/api/tracking/"]


@pytest.mark.parametrize(("path", "head", "body"), EXAMPLES)
def test_it_is_accepted(
    ingest: FlaskClient, ingest_app: Flask, partner: int, path: str, head: str, body: str
) -> None:
    headers = dict(line.split(": ") for line in head.splitlines()) | signed_in_as(ingest_app, partner)
    response = ingest.post(path, data=body.encode(), headers=headers)
    assert response.status_code == 201, response.text

"""What the tests of the ingest service share."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.unit.conftest import signed_in_as


@pytest.fixture
def headers(ingest_app: Flask, partner: int) -> dict[str, str]:
    """The partner's credentials."""
    return signed_in_as(ingest_app, partner)

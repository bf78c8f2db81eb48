"""`reconcile`: what the operator sees, and the status that a script goes by."""

from __future__ import annotations

from datetime import timedelta

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import Engine

from shared.keys import KeyRing
from shared.queues import Depth, QueueUnavailable
from tests.factories import NOON
from tests.integration.calling import new_app
from tests.integration.reconciled import Past


class Queue:
    """Says what is in the queue; `depths` in turn, and the last of them for ever."""

    def __init__(self) -> None:
        self.depths: list[Depth | QueueUnavailable] = [Depth(0, 0)]

    def depth(self) -> Depth:
        depth = self.depths.pop(0) if len(self.depths) > 1 else self.depths[0]
        if isinstance(depth, QueueUnavailable):
            raise depth
        return depth


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def app(sqlite_engine: Engine, keys: KeyRing, queue: Queue) -> Flask:
    """The admin service an hour after noon."""
    return new_app("admin", sqlite_engine, keys, ask_depth=queue.depth, now=lambda: NOON + timedelta(hours=1))


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner(env={"COLUMNS": "200"}).invoke(args=["reconcile", *arguments])


def shown(result: Result) -> dict[str, list[str]]:
    """The rows of the table: the numbers behind each word."""
    rows = (line.rsplit(maxsplit=2) for line in result.output.splitlines() if line.strip())
    return {words[0].strip(): words[1:] for words in rows}


def test_status_0_says_that_all_is_settled(app: Flask, sqlite_engine: Engine) -> None:
    past = Past(sqlite_engine, size=3)
    past.writes(1, 2)

    result = run(app)

    assert result.exit_code == 0, result.output
    rows = shown(result)
    assert (rows["accepted"], rows["settled"]) == (["2", "6"], ["2", "6"])
    assert "missing" in result.output


def test_status_1_names_the_producer_and_the_numbers_that_are_missing(
    app: Flask, sqlite_engine: Engine
) -> None:
    complete, broken = Past(sqlite_engine), Past(sqlite_engine)
    complete.writes(1, 2)
    broken.writes(1, 3, 6)

    result = run(app)

    assert result.exit_code == 1
    assert str(broken.id) in result.output
    assert "2, 4-5" in result.output
    assert str(complete.id) not in result.output


def test_receipts_that_contradict_themselves_are_status_1(app: Flask, sqlite_engine: Engine) -> None:
    past = Past(sqlite_engine)
    past.writes(1)
    past.size = 3
    past.write(past.checkpoint(1))

    result = run(app)

    assert result.exit_code == 1
    assert "contradict themselves" in result.output


def test_status_3_says_that_something_is_pending_still(app: Flask, queue: Queue) -> None:
    queue.depths = [Depth(4, 0)]

    result = run(app, "--wait", "0")

    assert result.exit_code == 3
    assert "pending" in result.output


def test_what_is_pending_is_waited_for(app: Flask, queue: Queue) -> None:
    queue.depths = [Depth(4, 0), Depth(1, 0), Depth(0, 0)]

    assert run(app).exit_code == 0


def test_a_number_that_lacks_is_pending_while_nobody_can_tell_what_is_in_the_queue(
    app: Flask, queue: Queue, sqlite_engine: Engine
) -> None:
    Past(sqlite_engine).writes(2)
    queue.depths = [QueueUnavailable("RabbitMQ is gone")]

    result = run(app, "--wait", "0")

    assert result.exit_code == 3
    assert "RabbitMQ is gone" in result.stderr

"""Who reads leads as they are stored, up to 5 seconds ago, never misses one (contract, section 5)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event

from consumer.writer import COMMIT_SECONDS, WRITER_SESSION, NotWritten, TooSlow
from shared.database import open_database
from shared.models import FEED_DELAY_SECONDS, lead_batches, leads
from tests.factories import NOON, make_batch, make_lead, make_writer
from tests.fakes import FakeElapsed
from tests.integration.stored import assert_all_stored_once, number_of, rows


@contextmanager
def slow(engine: Engine, delay: Callable[[], None]) -> Iterator[None]:
    """The last statement of each write takes as long as `delay` does."""

    def hold(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO lead_counts"):
            delay()

    event.listen(engine, "before_cursor_execute", hold)
    yield
    event.remove(engine, "before_cursor_execute", hold)


class Clocks:
    """A clock for stamps and one for durations, which go together."""

    def __init__(self) -> None:
        self.elapsed = FakeElapsed()
        self._began = self.elapsed()

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.elapsed() - self._began)


def test_what_took_too_long_since_its_stamp_is_not_committed(engine: Engine) -> None:
    clocks = Clocks()
    writer = make_writer(engine, clocks.now, elapsed=clocks.elapsed)
    batch = make_batch([make_lead()])

    with (
        slow(engine, lambda: clocks.elapsed.pass_by(COMMIT_SECONDS + 0.1)),
        pytest.raises(TooSlow, match=r"3\.1 seconds"),
    ):
        writer.write([(batch, 0)])

    assert number_of(engine, leads) == number_of(engine, lead_batches) == 0
    writer.write([(batch, 1)])
    assert_all_stored_once(engine, {batch.leads[0].id})


def test_what_took_almost_as_long_is_committed(engine: Engine) -> None:
    clocks = Clocks()
    batch = make_batch([make_lead()])

    with slow(engine, lambda: clocks.elapsed.pass_by(COMMIT_SECONDS)):
        make_writer(engine, clocks.now, elapsed=clocks.elapsed).write([(batch, 0)])

    assert [row.stored_at for row in rows(engine, leads)] == [NOON]


@pytest.mark.parametrize("seconds", [4.0, 60.0])
def test_a_database_that_is_always_slow_stores_leads_with_a_stamp_close_to_the_commit(
    engine: Engine, seconds: float
) -> None:
    clocks = Clocks()
    writer = make_writer(engine, clocks.now, elapsed=clocks.elapsed)
    batches = [make_batch([make_lead()]) for _ in range(3)]
    tries = 0

    with slow(engine, lambda: clocks.elapsed.pass_by(seconds)):
        for batch in batches:
            while True:
                tries += 1
                try:
                    writer.write([(batch, 0)])
                    break
                except TooSlow:
                    continue
            (row,) = [row for row in rows(engine, leads) if row.id == batch.leads[0].id]
            assert clocks.now() - row.stored_at < timedelta(seconds=COMMIT_SECONDS)

    assert tries == 4  # the first taught how long it takes


def test_a_stamp_is_ahead_only_as_long_as_the_database_is_slow(engine: Engine) -> None:
    clocks = Clocks()
    writer = make_writer(engine, clocks.now, elapsed=clocks.elapsed)
    with slow(engine, lambda: clocks.elapsed.pass_by(10)), pytest.raises(TooSlow):
        writer.write([(make_batch([make_lead()]), 0)])
    writer.write([(make_batch([make_lead()]), 0)])
    last = make_batch([make_lead()])

    writer.write([(last, 0)])

    assert {row.stored_at for row in rows(engine, leads) if row.id == last.leads[0].id} == {clocks.now()}


def test_the_commit_has_time_left_before_the_feed_goes_by() -> None:
    assert COMMIT_SECONDS + 1 < FEED_DELAY_SECONDS


@pytest.mark.parametrize("engine", ["mariadb"], indirect=True)
def test_what_a_frozen_consumer_has_left_open_is_rolled_back(engine: Engine) -> None:
    own = open_database(engine.url.render_as_string(hide_password=False), session=WRITER_SESSION)
    batch = make_batch([make_lead()])

    @event.listens_for(own, "commit")
    def freeze(_connection: Any) -> None:
        time.sleep(1.6)

    with pytest.raises(NotWritten):
        make_writer(own).write([(batch, 0)])
    own.dispose()

    assert number_of(engine, leads) == 0

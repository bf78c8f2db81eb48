"""What our worker class does in place of gunicorn's, where that needs no connection."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gunicorn.http.errors import InvalidResponseHeader

from deploy.web_worker import _Quiet, _Response

NAMES = ("Content-Type", "Content-Length", "X-Request-ID")


def answer(*values: str) -> _Response:
    """A response that has taken headers with these values."""
    response = _Response(SimpleNamespace(), None, SimpleNamespace())
    response.process_headers(list(zip(NAMES, values, strict=True)))
    return response


def test_headers_are_taken_as_they_are_the_second_time_too() -> None:
    for length in (12, 345):
        taken = answer("application/json", str(length), "a")
        assert taken.headers == [*zip(NAMES, ("application/json", str(length), "a"), strict=True)]
        assert taken.response_length == length


def test_a_value_that_would_split_the_answer_is_refused_whatever_came_before() -> None:
    answer("application/json", "12", "a")
    with pytest.raises(InvalidResponseHeader):
        answer("application/json", "12", "a\r\nX-Other: b")


def test_headers_of_the_connection_are_left_out_each_time() -> None:
    for _ in range(2):
        response: Any = _Response(SimpleNamespace(), None, SimpleNamespace())
        response.process_headers([("Content-Length", "1"), ("Connection", "close")])
        assert response.headers == [("Content-Length", "1")]


def test_only_connections_whose_time_is_up_stop_waiting() -> None:
    quiet, ended = _Quiet(), []

    def wait(name: str, seconds: float) -> None:
        quiet.seconds = seconds
        with quiet:
            gevent.sleep(60)
        ended.append(name)

    waiting = [gevent.spawn(wait, "short", -1.0), gevent.spawn(wait, "long", 30.0)]
    gevent.sleep(0)
    by_hub = gevent.get_hub().loop.run_callback
    by_hub(quiet.end, time.monotonic())
    waiting[0].join(5)
    assert ended == ["short"]
    by_hub(quiet.end, float("inf"))
    gevent.joinall(waiting, timeout=5)
    assert ended == ["short", "long"]

"""An exchange leaves references in a buffer; a thread redacts and publishes them. Nothing of it can fail a
request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask import Flask, Response, g

from shared import api_log
from shared.api_log import ApiLog
from shared.bodies import json_object
from shared.errors import ApiError, answer, init_errors
from shared.exchanges import Exchange, decode_exchanges
from shared.identity import User
from shared.redaction import LIMIT_BYTES, REDACTED
from shared.request_ids import init_request_ids
from tests.fakes import FakeElapsed, FakeProducer
from tests.waiting import wait_until

USER = User(7, "ada@example.com", frozenset(), None, None, 0)


class Service:
    """An app with a few routes whose exchanges are logged."""

    def __init__(self, keeps: str = "full") -> None:
        self.producer = FakeProducer()
        self.elapsed = FakeElapsed()
        self.log = ApiLog(self.producer, keeps, self.elapsed)
        self.app = Flask("service")
        self.log.init_app(self.app)
        init_request_ids(self.app)
        init_errors(self.app)
        views: dict[str, Callable[[], Response]] = {
            "/echo": echo,
            "/api/login_check": echo,
            "/livez": lambda: answer(200, {}),
            "/admin/api/logs": lambda: answer(200, {"items": ["a log"]}),
            "/stream": lambda: Response(iter([b"a", b"b"])),
            "/bytes": lambda: Response(b"\xff\x00\xfe"),
            "/large": lambda: Response(b"x" * 1_000_000),
            "/fault": fault,
        }
        for path, view in views.items():
            self.app.add_url_rule(path, path, view, methods=["POST" if view is echo else "GET"])
        self.ask = self.app.test_client().open

    @contextmanager
    def running(self) -> Iterator[None]:
        self.log.start()
        try:
            yield
        finally:
            self.log.stop()

    def logged(self) -> list[Exchange]:
        """What has been published."""
        return [exchange for body in self.producer.bodies for exchange in decode_exchanges(body)]


def echo() -> Response:
    g.user = USER
    return answer(201, json_object())


def fault() -> Response:
    raise ApiError(418, "no")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_log, "GATHER_SECONDS", 0.01)
    monkeypatch.setattr(api_log, "STOP_SECONDS", 0.3)


@pytest.fixture
def service() -> Service:
    return Service()


def one_logged(service: Service) -> Exchange:
    """The only exchange, once the service has stopped."""
    [exchange] = service.logged()
    return exchange


def test_an_exchange_is_logged_with_what_was_asked_and_answered(service: Service) -> None:
    with service.running():
        answered = service.ask(
            "/echo?page=1&token=s3cr3t",
            method="POST",
            json={"email": "Zoë", "password": "s3cr3t"},
            headers={"User-Agent": "curl/8", "X-Request-ID": "mine-1", "X-AUTH-Token": "s3cr3t"},
            environ_base={"REMOTE_ADDR": "192.0.2.7"},
        )
    assert answered.json == {"email": "Zoë", "password": "s3cr3t"}
    exchange = one_logged(service)
    assert exchange.request_id == "mine-1"
    assert (exchange.method, exchange.endpoint) == ("POST", "/echo")
    assert exchange.query == f"page=1&token={REDACTED}"
    assert exchange.payload == exchange.body == f'{{"email":"Zoë","password":"{REDACTED}"}}'
    assert (exchange.client_id, exchange.address, exchange.user_agent) == (7, "192.0.2.7", "curl/8")
    assert (exchange.status, service.log.dropped) == (201, 0)
    assert 0 < exchange.duration_us < 60_000_000
    assert not any(b"s3cr3t" in body for body in service.producer.bodies)


def test_a_credential_among_many_exchanges_is_not_kept(service: Service) -> None:
    sent = [{"name": "Ada"}, {"name": "Bo", "password": "s3cr3t"}, {"name": "Cy"}]
    for body in sent:
        service.ask("/echo", method="POST", json=body)
    with service.running():
        pass
    kept = ['{"name":"Ada"}', f'{{"name":"Bo","password":"{REDACTED}"}}', '{"name":"Cy"}']
    assert [exchange.body for exchange in service.logged()] == kept
    assert not any(b"s3cr3t" in body for body in service.producer.bodies)


def test_each_exchange_has_an_id_of_its_own_whatever_the_request_id(service: Service) -> None:
    with service.running():
        for _ in range(3):
            service.ask("/echo", method="POST", json={}, headers={"X-Request-ID": "again"})
    logged = service.logged()
    assert [exchange.request_id for exchange in logged] == ["again"] * 3
    assert len({exchange.id for exchange in logged}) == 3


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/nowhere", "GET", 404), ("/echo", "PUT", 405), ("/fault", "GET", 418)]
)
def test_errors_are_logged_with_their_body(service: Service, path: str, method: str, status: int) -> None:
    with service.running():
        answered = service.ask(path, method=method)
    exchange = one_logged(service)
    assert exchange.status == answered.status_code == status
    assert exchange.body == answered.text
    assert exchange.payload is None


def test_only_errors_are_logged_where_only_they_are_asked_for() -> None:
    service = Service("errors")
    with service.running():
        service.ask("/echo", method="POST", json={})
        service.ask("/nowhere")
        service.ask("/echo", method="POST", data=b"{", content_type="application/json")
    assert [exchange.status for exchange in service.logged()] == [404, 400]


def test_nothing_is_logged_where_it_is_off() -> None:
    service = Service("off")
    with service.running():
        assert service.ask("/nowhere").status_code == 404
    assert not service.producer.is_open
    assert service.logged() == []


def test_health_is_not_logged_and_logs_are_not_logged_over_and_over(service: Service) -> None:
    with service.running():
        service.ask("/livez")
        service.ask("/admin/api/logs")
    exchange = one_logged(service)
    assert exchange.endpoint == "/admin/api/logs"
    assert "a log" not in (exchange.body or "")


def test_answers_that_are_streamed_or_no_text_break_nothing(service: Service) -> None:
    with service.running():
        assert service.ask("/stream").data == b"ab"
        assert service.ask("/bytes").data == b"\xff\x00\xfe"
        assert len(service.ask("/large").data) == 1_000_000
    streamed, binary, large = service.logged()
    assert streamed.body is None
    assert binary.body == "\ufffd\x00\ufffd"
    assert large.body is not None
    assert len(large.body.encode()) == LIMIT_BYTES
    assert large.body.endswith("[CUT, 1000000 bytes in all]")


@pytest.mark.parametrize("body", [b'["s3cr3t"]', b"s3cr3t", b'{"email": "s3cr3t"'])
def test_of_a_login_that_is_no_object_nothing_is_kept(service: Service, body: bytes) -> None:
    with service.running():
        service.ask("/api/login_check", method="POST", data=body, content_type="application/json")
    assert one_logged(service).payload == REDACTED


def test_many_share_a_message(service: Service) -> None:
    with service.running():
        for _ in range(50):
            service.ask("/nowhere")
        wait_until(lambda: len(service.logged()) == 50, "all are logged")
    assert len(service.producer.bodies) < 50


def test_a_message_is_closed_at_its_limit(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_log, "MESSAGE_EXCHANGES", 2)
    for _ in range(5):
        service.ask("/nowhere")
    with service.running():
        pass
    assert [len(decode_exchanges(body)) for body in service.producer.bodies] == [2, 2, 1]


def test_what_was_noted_is_published_at_a_stop(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_log, "GATHER_SECONDS", 60.0)
    with service.running():
        service.ask("/nowhere")
        assert service.logged() == []
    assert len(service.logged()) == 1
    assert not service.producer.is_open


def test_a_full_buffer_drops_logs_counts_them_and_fails_no_request(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(api_log, "BUFFER_EXCHANGES", 3)
    assert [service.ask("/fault").status_code for _ in range(5)] == [418] * 5
    assert service.log.dropped == 2
    service.elapsed.pass_by(api_log.COMPLAIN_SECONDS)
    service.ask("/fault")
    complaints = [record.message for record in caplog.records if "not logged so far" in record.message]
    assert complaints == [
        "1 API exchanges were not logged so far: the buffer is full",
        "3 API exchanges were not logged so far: the buffer is full",
    ]
    with service.running():
        pass
    assert len(service.logged()) == 3


def test_bodies_fill_the_buffer_too(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_log, "BUFFER_BYTES", 1000)
    for _ in range(4):
        assert service.ask("/echo", method="POST", json={"a": "x" * 400}).status_code == 201
    assert service.log.dropped == 2


def test_while_the_queue_is_gone_requests_go_on_and_logs_wait_for_it(service: Service) -> None:
    service.producer.refuse = "the broker is gone"
    with service.running():
        assert service.ask("/fault").status_code == 418
        service.producer.refuse = None
        wait_until(lambda: len(service.logged()) == 1, "the exchange is logged")
    assert service.log.dropped == 0


def test_logs_that_the_queue_does_not_confirm_are_dropped_and_counted(service: Service) -> None:
    service.producer.gate.clear()
    with service.running():
        service.ask("/fault")
        service.producer.publishing.acquire()
        service.producer.refuse = "full"
        service.producer.gate.set()
        assert service.ask("/fault").status_code == 418
    assert (service.logged(), service.log.dropped) == ([], 2)


def test_a_stop_does_not_wait_for_a_queue_that_is_gone(service: Service) -> None:
    service.producer.refuse = "the broker is gone"
    with service.running():
        service.ask("/fault")
    assert service.log.dropped == 1


@pytest.mark.parametrize("part", ["_noted", "_exchange", "encode_exchanges"])
def test_a_fault_of_ours_in_logging_fails_no_request(
    service: Service, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as broken, service.running():
        broken.setattr(api_log, part, fail)
        assert service.ask("/fault").status_code == 418
        wait_until(lambda: service.log.dropped == 1, "the exchange is dropped")
        broken.undo()
        service.ask("/nowhere")
    assert one_logged(service).status == 404


def test_a_queue_that_cannot_be_opened_stops_no_service(service: Service) -> None:
    def refuse() -> None:
        raise OSError("the disk is full")

    service.producer.start = refuse  # type: ignore[method-assign]
    with service.running():
        assert service.ask("/fault").status_code == 418
        assert "api-log" in {thread.name for thread in threading.enumerate()}
    assert service.log.dropped == 1

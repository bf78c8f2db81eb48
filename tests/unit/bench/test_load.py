"""The load generator understands answers however they arrive, and stops at those it did not want."""

import socketserver
import threading
from collections.abc import Iterator

import pytest

from tests.bench.leads import Leads
from tests.bench.load import Answer, Load, WrongAnswer

CREATED = b"HTTP/1.1 201 CREATED\r\nContent-Length: 5\r\n\r\nhello"


def test_an_answer_is_whole_with_its_last_byte() -> None:
    answer = Answer()
    assert [answer.feed(CREATED[at : at + 1]) for at in range(len(CREATED))] == [
        *([None] * (len(CREATED) - 1)),
        CREATED,
    ]
    assert answer.feed(CREATED) == CREATED


def test_an_answer_without_a_body_ends_with_its_head() -> None:
    empty = b"HTTP/1.1 204 NO CONTENT\r\nServer: x\r\n\r\n"
    assert Answer().feed(empty) == empty


class Handler(socketserver.BaseRequestHandler):
    """Answers each request, which must arrive in one piece, with what the server has to say."""

    def handle(self) -> None:
        while self.request.recv(65_536):
            self.request.sendall(self.server.says)  # type: ignore[attr-defined]


@pytest.fixture
def server() -> Iterator[socketserver.ThreadingTCPServer]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.says = CREATED  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_every_request_is_answered_and_counted(server: socketserver.ThreadingTCPServer) -> None:
    seen: list[bytes] = []
    with Load(server.server_address[1], connections=4) as load:
        outcome = load.run(Leads().posts("token"), count=50, seen=seen.append)
    assert (outcome.accepted, len(outcome.latencies), seen) == (50, 50, [CREATED] * 50)


def test_requests_at_a_rate_take_their_time(server: socketserver.ThreadingTCPServer) -> None:
    with Load(server.server_address[1], connections=4) as load:
        outcome = load.run(Leads().posts("token"), count=5, rate=100)
    assert outcome.accepted == 5
    assert outcome.elapsed >= 0.04


def test_anything_but_201_ends_the_load(server: socketserver.ThreadingTCPServer) -> None:
    server.says = CREATED.replace(b"201 CREATED", b"429 TOO MANY")  # type: ignore[attr-defined]
    with Load(server.server_address[1], connections=1) as load, pytest.raises(WrongAnswer, match="429"):
        load.run(Leads().posts("token"), count=1)


def test_every_lead_is_another_person_and_as_long_as_the_last() -> None:
    leads = Leads()
    bodies = [next(leads.posts("token")).partition(b"\r\n\r\n")[2] for _ in range(20)]
    assert len(set(bodies)) == 20
    assert len({len(body) for body in bodies}) == 1

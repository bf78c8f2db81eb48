"""Many leads at the same time."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from types import TracebackType

from tests.system.client import ANSWER_SECONDS, Answer, Client

POSTERS = 4


def post_at_once(port: int, token: str, connections: int, leads_each: int) -> list[Answer]:
    """The answers to leads posted on so many connections at the same time."""

    def post(_: int) -> list[Answer]:
        with Client(port, token) as client:
            return [client.post_lead() for _ in range(leads_each)]

    with ThreadPoolExecutor(connections) as threads:
        return [answer for answers in threads.map(post, range(connections)) for answer in answers]


def accepted_ids(answers: Iterable[Answer]) -> list[str]:
    """The ids of the leads that were accepted."""
    return [answer.data["id"] for answer in answers if answer.status == 201]


class Posting:
    """A context in which POSTERS connections post one lead after the other until nobody listens any more.

    On leaving it has waited for that. `lost` counts the requests whose connection was closed in place of
    an answer: their leads may have been stored or not. `faults` is what must not happen at all.
    """

    def __init__(self, port: int, token: str) -> None:
        self.answers: list[Answer] = []
        self.lost = 0
        self.faults: list[Exception] = []
        self._port = port
        self._token = token
        self._give_up = Event()
        self._threads = [Thread(target=self._post) for _ in range(POSTERS)]

    def __enter__(self) -> Posting:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._give_up.set()
        for thread in self._threads:
            thread.join(ANSWER_SECONDS)
        self._give_up.set()

    def wait_for_answers(self, count: int) -> None:
        """Return once there are so many."""
        while len(self.answers) < count:
            assert any(thread.is_alive() for thread in self._threads), self.faults
            self._give_up.wait(0.01)

    def _post(self) -> None:
        with Client(self._port, self._token) as client:
            while not self._give_up.is_set():
                try:
                    self.answers.append(client.post_lead())
                except ConnectionRefusedError:
                    return
                except ConnectionError:
                    self.lost += 1
                except Exception as error:
                    self.faults.append(error)
                    return

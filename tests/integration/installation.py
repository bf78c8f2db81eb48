"""A queue and a database, and the real consumer as a process between them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Engine, insert

from shared.database import writing
from shared.messages import Batch
from shared.models import lead_batches, lead_producers, leads
from shared.queues import Producer
from tests.factories import NOON, make_batch, make_lead, message
from tests.integration.stored import assert_all_stored_once, number_of, rows
from tests.integration.transports import ROOT, Transport
from tests.waiting import wait_until

STOP_SECONDS = 15.0


@dataclass
class Installation:
    """The consumer knows of it what stands in `environment`; `producer` publishes to its queue."""

    transport: Transport
    engine: Engine
    producer: Producer
    environment: dict[str, str]
    folder: Path

    def publish(self, *messages: bytes | Batch) -> None:
        for body in messages:
            self.producer.publish(message(body) if isinstance(body, Batch) else body, 10.0)

    def stored(self) -> int:
        return number_of(self.engine, leads)

    @contextmanager
    def consumer(self) -> Iterator[subprocess.Popen[bytes]]:
        """The consumer, killed with -9 in the end if it still runs."""
        with (self.folder / "consumer.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "consumer"],
                cwd=ROOT,
                env=self.environment | {"PATH": os.environ["PATH"]},
                stderr=log,
            )
            with process:
                try:
                    yield process
                finally:
                    process.kill()

    def log(self) -> str:
        """What every consumer so far has said."""
        return (self.folder / "consumer.log").read_text()

    @contextmanager
    def blocked_writing(self, batch: Batch) -> Iterator[None]:
        """Until its end, whoever writes `batch` waits in the middle of its transaction."""
        receipt = {"producer_id": batch.header.producer_id, "sequence": 1, "last_sequence": 1}
        numbers = dict.fromkeys(("leads", "stored", "duplicate", "quarantined", "erased"), 0)
        with writing(self.engine).connect() as connection:
            connection.execute(insert(lead_batches).values(**receipt, **numbers, void=False, stored_at=NOON))
            yield
            connection.rollback()

    def publish_and_see_some_stored(self, *batches: Batch) -> None:
        """With a consumer at work."""
        before = self.stored()
        self.publish(*batches)
        wait_until(lambda: self.stored() > before, "some more are stored")

    @contextmanager
    def said(self, words: str) -> Iterator[None]:
        """At its end, waits until a consumer has said `words` once more than before."""
        before = self.log().count(words)
        yield
        wait_until(lambda: self.log().count(words) > before, f"the consumer says {words!r}")

    def assert_ends_with(self, batches: list[Batch]) -> None:
        """A consumer that runs undisturbed stores the rest of `batches`, and the queue is empty then."""
        last = make_batch([], sequence=0)
        self.publish(last)
        with self.consumer() as process:
            wait_until(lambda: self.has_seen(last), "the last message is written")
            assert stop(process) == 0
        assert self.transport.waiting() == 0
        assert_all_stored_once(self.engine, {lead.id for batch in batches for lead in batch.leads})

    def has_seen(self, batch: Batch) -> bool:
        """Whether a message of that producer was written."""
        return batch.header.producer_id in {row.producer_id for row in rows(self.engine, lead_producers)}


def stop(process: subprocess.Popen[bytes]) -> int:
    """The status it ends with after SIGTERM."""
    process.terminate()
    return process.wait(STOP_SECONDS)


def batches_of(leads: int, size: int) -> list[Batch]:
    """The batches of one producer, which have so many leads together and `size` each."""
    producer_id = uuid4()
    return [
        make_batch(
            [make_lead() for _ in range(size)],
            producer_id=producer_id,
            sequence=number,
            settled_through=number - 1,
            settled_leads=(number - 1) * size,
        )
        for number in range(1, leads // size + 1)
    ]

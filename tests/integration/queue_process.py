"""One end of a queue in a process of its own, for tests that kill it or limit what it may write.

publish          publishes 1, 2, 3 … and prints each number once it is confirmed
take NUMBER      takes that many messages, prints a line, and holds them
own PRODUCER_ID  starts that producer, prints a line, and keeps it; prints the reason where it cannot
fill BYTES       publishes messages of 4 KB where no file may become longer; prints how many were confirmed
                 and the reason of the end
"""

from __future__ import annotations

import itertools
import resource
import signal
import sys
from uuid import UUID, uuid4

from shared.queues import NotConfirmed, open_consumer, open_producer
from shared.settings import read_settings

SECONDS = 5.0


def publish() -> None:
    producer = open_producer(read_settings(), uuid4())
    producer.start()
    for number in itertools.count(1):
        producer.publish(str(number).encode(), SECONDS)
        print(number, flush=True)


def take(number: int) -> None:
    consumer = open_consumer(read_settings())
    held = [consumer.take(SECONDS) for _ in range(number)]
    print("nothing" if None in held else "holding", flush=True)
    signal.pause()


def own(producer_id: UUID) -> None:
    producer = open_producer(read_settings(), producer_id)
    try:
        producer.start()
    except NotConfirmed as error:
        print(error, flush=True)
        return
    print("owner", flush=True)
    signal.pause()


def fill(limit: int) -> None:
    producer = open_producer(read_settings(), uuid4())
    producer.start()
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    for confirmed in itertools.count():
        try:
            producer.publish(b"%4096d" % confirmed, SECONDS)
        except NotConfirmed as error:
            print(confirmed, error, flush=True)
            return


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["publish"]:
            publish()
        case ["take", number]:
            take(int(number))
        case ["own", producer_id]:
            own(UUID(producer_id))
        case ["fill", limit]:
            fill(int(limit))

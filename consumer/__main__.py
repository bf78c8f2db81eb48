"""`python -m consumer`: wiring, signals, exit codes."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
from datetime import timedelta
from types import FrameType

from consumer.consumer import Consumer
from consumer.duplicates import duplicates_of
from consumer.log_writer import LogWriter
from consumer.maintenance import Maintenance
from consumer.writer import WRITER_SESSION, Writer
from shared.database import open_database
from shared.email_hashes import open_email_hashes
from shared.erasures import Erasures
from shared.messages import NewerSchema
from shared.observability import start_logging
from shared.queues import open_consumer, open_log_consumer
from shared.settings import read_settings

NEWER_SCHEMA_STATUS = 3
STOP_SECONDS = 10.0


def main() -> int:
    """Runs until SIGTERM or SIGINT, which ends in 0 after STOP_SECONDS at the latest; a second signal ends
    it at once, in 1.

    3 when a message needs a newer consumer.
    """
    # What was imported stays as long as the process, and what a lead is made of is soon gone: looked at every
    # 700 objects, as is Python's default, they cost about 2 µs a lead.
    gc.freeze()
    gc.set_threshold(10_000)
    settings = read_settings()
    start_logging(settings, "consumer")
    database = open_database(settings.leads_database_url, session=WRITER_SESSION)
    erasures = Erasures(open_email_hashes(settings))
    writer = Writer(database, erasures=erasures, duplicates=duplicates_of(settings))
    consumer = Consumer(lambda: open_consumer(settings), writer)
    log_writer = LogWriter(lambda: open_log_consumer(settings), database, erasures)
    maintenance = Maintenance(database, timedelta(days=settings.duplicate_window_days))
    signals = 0

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            os._exit(1)  # nothing is lost: what was not acknowledged comes again
        consumer.stop()
        # A database or broker that hangs must not keep us: what was not acknowledged comes again.
        late = threading.Timer(STOP_SECONDS, os._exit, [0])
        late.daemon = True
        late.start()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    log_writer.start()
    maintenance.start()
    try:
        consumer.run()
    except NewerSchema as error:
        logging.getLogger("leadgate.consumer").error("a message has %s: start a newer one", error)
        return NEWER_SCHEMA_STATUS
    finally:
        maintenance.stop()
        log_writer.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())

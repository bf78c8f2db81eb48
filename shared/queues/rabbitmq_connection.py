"""How we speak to RabbitMQ, at both ends: which queues there are, how to connect, what can go wrong."""

from __future__ import annotations

from typing import Any

import pika
import pika.exceptions

from shared.queues import API_LOGS, QueueUnavailable

HEARTBEAT_SECONDS = 30
CONNECT_SECONDS = 3
DELIVERY_LIMIT = 200
API_LOGS_BYTES = 256 * 1024 * 1024


def topology(queue: str) -> list[dict[str, Any]]:
    """The queues that belong to `queue`, as arguments of queue_declare: where its dead go, and itself."""
    if queue == API_LOGS:
        # Not replicated and bounded, the oldest give way: a log may be lost, and must fill no disk.
        bounds = {"x-max-length-bytes": API_LOGS_BYTES, "x-overflow": "drop-head"}
        return [{"queue": queue, "durable": True, "arguments": {"x-queue-type": "classic"} | bounds}]
    dead = f"{queue}.dead"
    return [
        {"queue": dead, "durable": True, "arguments": {"x-queue-type": "quorum"}},
        {
            "queue": queue,
            "durable": True,
            "arguments": {
                "x-queue-type": "quorum",
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": dead,
                # At-least-once needs an overflow policy that refuses, or it silently becomes at-most-once.
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        },
    ]


def parameters(url: str) -> pika.URLParameters:
    """How to connect to `url`: quickly or not at all, since whoever fails tries again."""
    found = pika.URLParameters(url)
    found.heartbeat = HEARTBEAT_SECONDS
    found.socket_timeout = CONNECT_SECONDS
    found.stack_timeout = CONNECT_SECONDS * 2
    found.blocked_connection_timeout = None
    found.connection_attempts = 1
    return found


class translated:
    """pika's exceptions leave as QueueUnavailable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, pika.exceptions.AMQPError | OSError):
            raise QueueUnavailable(f"RabbitMQ: {type(error).__name__}: {error}") from error

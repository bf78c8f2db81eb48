"""The real servers a benchmark runs against, with a database and a virtual host of its own on them."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pika
import pika.exceptions
import pymysql
import redis
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, Engine, make_url

from tests.bench.processes import listening

DATABASE_URL = "mysql+pymysql://root@127.0.0.1:3306"
AMQP_URL = "amqp://guest:guest@127.0.0.1:5672"
REDIS_URL = "redis://127.0.0.1:6379/14"


class CannotBench(Exception):
    """Says in a line what is missing."""


class LeadsLost(Exception):
    """What was accepted is not what is stored; says how."""


@dataclass(frozen=True)
class Servers:
    """Where they are, what they are, and which processes they are."""

    engine: Engine
    amqp_url: str
    redis_url: str
    versions: dict[str, str]
    flush_log_at_commit: int
    pids: dict[str, int]  # database, broker, redis

    @property
    def database_url(self) -> str:
        return self.engine.url.render_as_string(hide_password=False)

    def counted(self) -> int:
        """How many leads are stored by the product's own counts: cheap enough to be asked all the time."""
        return self._number("SELECT COALESCE(SUM(leads), 0) FROM lead_counts WHERE grain = 'all'")

    def stored(self) -> int:
        """How many leads are in the table, counted one by one."""
        return self._number("SELECT COUNT(*) FROM leads")

    def _number(self, question: str) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(text(question)).scalar_one())

    def consumers(self, queue: str) -> int:
        """How many take from `queue`."""
        with closing(pika.BlockingConnection(pika.URLParameters(self.amqp_url))) as connection:
            return int(connection.channel().queue_declare(queue, passive=True).method.consumer_count)

    def queued(self, queue: str) -> int:
        """How many messages wait in `queue`; 0 if there is no such queue yet."""
        with closing(pika.BlockingConnection(pika.URLParameters(self.amqp_url))) as connection:
            try:
                declared = connection.channel().queue_declare(queue, passive=True)
            except pika.exceptions.ChannelClosedByBroker:
                return 0
            return int(declared.method.message_count)

    def purge(self, queue: str) -> None:
        with closing(pika.BlockingConnection(pika.URLParameters(self.amqp_url))) as connection:
            connection.channel().queue_purge(queue)


@contextmanager
def servers() -> Iterator[Servers]:
    """The servers that DATABASE_URL, AMQP_URL and REDIS_URL name, or those on the default ports.

    What is made on them is removed afterwards. Raises CannotBench if one does not answer.
    """
    database = make_url(os.environ.get("DATABASE_URL") or DATABASE_URL)
    amqp = os.environ.get("AMQP_URL") or AMQP_URL
    redis_url = os.environ.get("REDIS_URL") or REDIS_URL
    with _answering("MariaDB", "DATABASE_URL"):
        mariadb, flush = _mariadb_facts(database)
    with _answering("RabbitMQ", "AMQP_URL"):
        rabbitmq = _rabbitmq_version(amqp)
    with _answering("Redis", "REDIS_URL"), closing(redis.Redis.from_url(redis_url)) as client:
        of_redis = str(dict(client.info("server"))["redis_version"])  # type: ignore[arg-type]
    if shutil.which("rabbitmqctl") is None:
        raise CannotBench("bench: its own virtual host is made by rabbitmqctl, which is not here")
    name = f"leadgate_bench_{uuid.uuid4().hex[:8]}"
    host, user = name.replace("_", "-"), pika.URLParameters(amqp).credentials.username
    engine = create_engine(database.set(database=name), isolation_level="AUTOCOMMIT")
    with ExitStack() as made:
        _execute(database, f"CREATE DATABASE {name}")
        made.callback(_execute, database, f"DROP DATABASE {name}")
        made.callback(engine.dispose)
        _rabbitmqctl("add_vhost", host)
        made.callback(_rabbitmqctl, "delete_vhost", host)
        _rabbitmqctl("set_permissions", "-p", host, user, ".*", ".*", ".*")
        yield Servers(
            engine,
            urlsplit(amqp)._replace(path=f"/{host}").geturl(),
            redis_url,
            {"MariaDB": mariadb, "RabbitMQ": rabbitmq, "Redis": of_redis},
            flush,
            {
                "database": listening(database.port or 3306),
                "broker": listening(urlsplit(amqp).port or 5672),
                "redis": listening(urlsplit(redis_url).port or 6379),
            },
        )


@contextmanager
def _answering(name: str, variable: str) -> Iterator[None]:
    """Raises CannotBench in place of what a driver raises when its server cannot be reached."""
    try:
        yield
    except (pymysql.Error, redis.RedisError, pika.exceptions.AMQPError, OSError) as error:
        why = str(error) or type(error).__name__
        raise CannotBench(f"bench: {name} does not answer ({variable}, or the default port): {why}") from None


def _connect(url: URL) -> pymysql.Connection[Any]:
    return pymysql.connect(
        host=url.host or "127.0.0.1",
        port=url.port or 3306,
        user=url.username,
        password=str(url.password or ""),
        connect_timeout=2,
        autocommit=True,
    )


def _execute(url: URL, statement: str) -> None:
    with closing(_connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def _mariadb_facts(url: URL) -> tuple[str, int]:
    """Its version, and after how many commits it writes its log through (1: each)."""
    with closing(_connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@version, @@innodb_flush_log_at_trx_commit")
        row = cursor.fetchone() or ("", 0)
        return str(row[0]), int(row[1])


def _rabbitmq_version(url: str) -> str:
    with closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        properties = connection._impl.server_properties or {}
        return str(properties.get("version", ""))


def _rabbitmqctl(*words: str) -> None:
    done = subprocess.run(["rabbitmqctl", "-q", *words], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise CannotBench(f"bench: rabbitmqctl {words[0]} failed: {done.stderr.strip()}")

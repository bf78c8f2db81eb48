"""Servers and programs that tests may use: where they are, whether they answer, what a test gets there."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pika
import pymysql
import pytest
import redis
from sqlalchemy.engine import make_url

REDIS_DATABASES = 16  # as many as Redis has unless told otherwise
REQUIRED = os.environ.get("REQUIRE_SERVICES", "")  # 1 for all of them, or names


@dataclass(frozen=True)
class Service:
    """A server or a program outside of the tests. `url` (of a program, its path) is empty where only a
    variable can say where it is."""

    name: str
    variable: str
    default: str
    required: bool = True

    @property
    def url(self) -> str:
        return os.environ.get(self.variable, self.default)


MARIADB = Service("MariaDB", "TEST_MARIADB_URL", "mysql+pymysql://root@127.0.0.1:3306")
MYSQL = Service("MySQL", "TEST_MYSQL_URL", "", required=False)
RABBITMQ = Service("RabbitMQ", "TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672")
CHROMIUM = Service("Chromium", "TEST_CHROMIUM", "/usr/bin/chromium")
NEWMAN = Service("newman", "TEST_NEWMAN", "newman")
REDIS = Service("Redis", "TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


def is_required(service: Service) -> bool:
    """Whether a test that misses it fails."""
    return service.required if REQUIRED == "1" else service.name in REQUIRED.split(",")


def need(service: Service) -> str:
    """The server's URL. Skips the test where it does not answer, or fails it with REQUIRE_SERVICES=1."""
    if not service.url:
        pytest.skip(f"{service.name}: {service.variable} is not set")
    try:
        _PROBES[service.name](service.url)
    except Exception as error:
        why = f"{service.name} does not answer ({service.variable} or the default port): {error}"
        if is_required(service):
            pytest.fail(why)
        pytest.skip(why)
    return service.url


def _probe_mysql(url: str) -> None:
    with _mysql(url):
        pass


def _probe_rabbitmq(url: str) -> None:
    pika.BlockingConnection(pika.URLParameters(url)).close()


def _probe_redis(url: str) -> None:
    client = redis.Redis.from_url(url, socket_connect_timeout=2)
    client.ping()
    client.close()


def _probe_program(path: str) -> None:
    if shutil.which(path) is None:
        raise FileNotFoundError(f"there is no {path}")


_PROBES = {
    "Chromium": _probe_program,
    "newman": _probe_program,
    "MariaDB": _probe_mysql,
    "MySQL": _probe_mysql,
    "RabbitMQ": _probe_rabbitmq,
    "Redis": _probe_redis,
}


@contextmanager
def _mysql(url: str) -> Iterator[pymysql.cursors.Cursor]:
    parts = make_url(url)
    connection = pymysql.connect(
        host=parts.host,
        port=parts.port or 3306,
        user=parts.username,
        password=parts.password or "",
        connect_timeout=2,
        autocommit=True,
    )
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


@contextmanager
def own_database(service: Service) -> Iterator[str]:
    """The URL of an empty database that is gone afterwards."""
    url = need(service)
    name = f"leadgate_test_{uuid.uuid4().hex[:12]}"
    with _mysql(url) as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
    finally:
        with _mysql(url) as cursor:
            cursor.execute(f"DROP DATABASE {name}")


@contextmanager
def own_virtual_host() -> Iterator[str]:
    """The URL of an empty virtual host of RabbitMQ that is gone afterwards."""
    url = need(RABBITMQ)
    user = pika.URLParameters(url).credentials.username
    name = f"leadgate-test-{uuid.uuid4().hex[:12]}"
    if shutil.which("rabbitmqctl") is None:
        why = "RabbitMQ: a virtual host of their own is made by rabbitmqctl, which is not here"
        if is_required(RABBITMQ):
            pytest.fail(why)
        pytest.skip(why)
    _rabbitmqctl("add_vhost", name)
    try:
        _rabbitmqctl("set_permissions", "-p", name, user, ".*", ".*", ".*")
        yield f"{url.rstrip('/')}/{name}"
    finally:
        _rabbitmqctl("delete_vhost", name)


@contextmanager
def own_redis() -> Iterator[str]:
    """The URL of an empty database of Redis that is emptied again afterwards."""
    url = need(REDIS)
    numbers = range(REDIS_DATABASES - 1, 0, -1)
    for of_number in (urlsplit(url)._replace(path=f"/{number}").geturl() for number in numbers):
        if of_number == url:
            continue  # tests share that one
        with closing(redis.Redis.from_url(of_number)) as client:
            # Claimed for a while only: a killed test run must not keep it.
            if client.dbsize() == 0 and client.set("leadgate-test", "claimed", nx=True, ex=600):
                try:
                    yield of_number
                finally:
                    client.flushdb()
                return
    pytest.fail("Redis: each of its databases holds something")


def _rabbitmqctl(*arguments: str) -> None:
    subprocess.run(["rabbitmqctl", "-q", *arguments], check=True, capture_output=True, timeout=60)

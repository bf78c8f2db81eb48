"""The only reader of the environment: every variable, what it takes, and what it is when not set."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DEMO_PASSWORD = "password123"  # noqa: S105 - the demo users', refused in production
SECRET_LENGTH = 32
DEFAULT_PASSWORDS = {"", "guest", "root", "password", DEMO_PASSWORD, "secret", "!changeMe!", "!change!"}


class InvalidSetting(SystemExit):
    """Stops the start: the message has one line a variable, with what it got and what it takes."""


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError
        return int(text)

    return parse


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    return parse


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in schemes or not (parts.hostname or parts.scheme.startswith("sqlite")):
            raise ValueError
        _ = parts.port  # raises on a port that is no number
        return text

    return parse


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.strip() for origin in text.split(","))
    for origin in origins:
        # No wildcard: flask-cors would take it for a pattern, and match more than was meant.
        if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?", origin):
            raise ValueError
    return origins


def _secret(text: str) -> str:
    if len(text) < SECRET_LENGTH:
        raise ValueError
    return text


def _path(text: str) -> Path:
    return Path(text).resolve()


def masked(url: str) -> str:
    """The URL with its passwords replaced, fit for a log; also where it is none, or a malformed one."""
    if "://" not in url:
        return _hidden(url)
    url = re.sub(r"(?i)(passw(?:or)?d=)[^&]*", r"\1***", url)
    # Up to the last @: a password may have any character in it that should have been escaped.
    return re.sub(r"(?s)(://[^:@]*):.*@", r"\1:***@", url)


def _hidden(secret: str) -> str:
    return "***" if secret else ""


@dataclass(frozen=True, slots=True)
class Variable:
    """How one environment variable is read; it stands in the metadata of its field of `Settings`."""

    name: str
    parse: Callable[[str], Any]
    takes: str
    about: str
    # Of a secret: its value as a log may show it.
    mask: Callable[[str], str] = str


def _variable(name: str, default: Any, parse: Callable[[str], Any], takes: str, about: str) -> Any:
    mask = masked if name.endswith("_URL") else _hidden if name.endswith("_KEY") else str
    variable = Variable(name, parse, takes, about, mask)
    return field(default=default, metadata={"variable": variable})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a process is told by its surroundings. Built once, in the composition root, and handed down."""

    app_env: str = _variable(
        "APP_ENV",
        "development",
        _one_of("development", "production"),
        "development or production",
        "production refuses demo users, default passwords and keys made for development",
    )
    data_dir: Path = _variable(
        "DATA_DIR",
        Path("var"),
        _path,
        "a folder",
        "where the embedded database, the queue files and development keys are kept",
    )
    database_url: str = _variable(
        "DATABASE_URL",
        "",
        _url("mysql+pymysql", "sqlite"),
        "mysql+pymysql://user:password@host:port/name or sqlite:////absolute/path",
        "the leads database; not set: SQLite under DATA_DIR",
    )
    amqp_url: str = _variable(
        "AMQP_URL",
        "",
        _url("amqp", "amqps"),
        "amqp://user:password@host:port/vhost",
        "RabbitMQ; not set: the embedded queue under DATA_DIR",
    )
    redis_url: str = _variable(
        "REDIS_URL",
        "",
        _url("redis", "rediss"),
        "redis://host:port/number",
        "shared rate limits; not set: limits in each process",
    )
    bind_host: str = _variable(
        "BIND_HOST", "127.0.0.1", str, "an address of this host", "where both services listen"
    )
    ingest_port: int = _variable(
        "INGEST_PORT", 8080, _whole(1, 65535), "a port from 1 to 65535", "the ingest service's port"
    )
    admin_port: int = _variable(
        "ADMIN_PORT", 8081, _whole(1, 65535), "a port from 1 to 65535", "the admin service's port"
    )
    web_workers: int = _variable(
        "WEB_WORKERS", 1, _whole(1, 256), "a whole number from 1 to 256", "gunicorn workers of each service"
    )
    rate_limit_per_minute: int = _variable(
        "RATE_LIMIT_PER_MINUTE",
        1000,
        _whole(1, 10**9),
        "a whole number from 1 to 1000000000",
        "requests a client may make in a minute",
    )
    jwt_keys_dir: Path | None = _variable(
        "JWT_KEYS_DIR",
        None,
        _path,
        "a folder",
        "private keys that sign JWTs, one <kid>.pem each; not set: DATA_DIR/jwt-keys",
    )
    email_hash_key: str = _variable(
        "EMAIL_HASH_KEY",
        "",
        _secret,
        f"a secret of at least {SECRET_LENGTH} characters",
        "key of the hashes by which emails are known again, never changed; not set: one kept in DATA_DIR",
    )
    duplicate_window_days: int = _variable(
        "DUPLICATE_WINDOW_DAYS",
        30,
        _whole(0, 36_500),
        "a whole number from 0 to 36500",
        "how long after a lead another one of the same partner and email is a duplicate; 0: none is",
    )
    duplicate_policy: str = _variable(
        "DUPLICATE_POLICY",
        "mark",
        _one_of("mark", "reject"),
        "mark or reject",
        "reject answers 409 to a duplicate of a stored lead, for one read of the database; others are marked",
    )
    trusted_proxies: int = _variable(
        "TRUSTED_PROXIES",
        0,
        _whole(0, 10),
        "a whole number from 0 to 10",
        "how many proxies before us say in X-Forwarded-For where a request comes from",
    )
    cors_origins: tuple[str, ...] = _variable(
        "CORS_ORIGINS",
        (),
        _origins,
        "origins such as https://app.example.com, separated by commas",
        "whose pages may call both services from a browser; not set: none",
    )
    api_log: str = _variable(
        "API_LOG",
        "full",
        _one_of("full", "errors", "off"),
        "full, errors or off",
        "which API exchanges are logged in the database; errors: those with a status from 400 on",
    )
    log_level: str = _variable(
        "LOG_LEVEL",
        "info",
        _one_of("debug", "info", "warning", "error"),
        "debug, info, warning or error",
        "what is logged",
    )

    @property
    def leads_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'leadgate.sqlite3'}"

    @property
    def jwt_keys_path(self) -> Path:
        return self.jwt_keys_dir or self.data_dir / "jwt-keys"

    @property
    def email_hash_key_path(self) -> Path:
        return self.data_dir / "email-hash-key"

    @property
    def queues_path(self) -> Path:
        return self.data_dir / "queues"


def variables() -> dict[str, Variable]:
    """Every variable by the name of its field in `Settings`, in the order of the documents' table."""
    return {f.name: f.metadata["variable"] for f in fields(Settings)}


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment (`os.environ` unless given); an empty variable counts as not set.

    Raises InvalidSetting, a SystemExit whose message has one line for each variable that is wrong.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    faults: list[str] = []
    for attribute, variable in variables().items():
        text = environment.get(variable.name, "")
        if not text:
            continue
        try:
            values[attribute] = variable.parse(text)
        except ValueError:
            faults.append(f"{variable.name}: got {variable.mask(text)!r}, takes {variable.takes}")
    settings = Settings(**values)
    faults += _faults_in_production(settings) if settings.app_env == "production" else []
    if faults:
        raise InvalidSetting("\n".join(faults))
    return settings


def _faults_in_production(settings: Settings) -> list[str]:
    """What production refuses to start with, a line each (contract, section 1)."""
    faults = []
    for name, url in (("DATABASE_URL", settings.database_url), ("AMQP_URL", settings.amqp_url)):
        if not url:
            faults.append(f"{name}: not set; production takes no embedded parts")
        elif url.startswith("sqlite"):
            faults.append(f"{name}: got {masked(url)!r}; production takes MySQL or MariaDB")
        elif (urlsplit(url).password or "") in DEFAULT_PASSWORDS:
            faults.append(f"{name}: has a default or empty password; production takes one of your own")
    if urlsplit(settings.redis_url).password in DEFAULT_PASSWORDS - {""}:
        faults.append("REDIS_URL: has a default password; production takes one of your own")
    if settings.jwt_keys_dir is None:
        faults.append("JWT_KEYS_DIR: not set; production takes a folder with keys of your own")
    elif settings.jwt_keys_dir.is_relative_to(settings.data_dir.resolve()):
        faults.append(
            "JWT_KEYS_DIR: lies under DATA_DIR, where development keys are made; takes another folder"
        )
    if not settings.email_hash_key:
        faults.append("EMAIL_HASH_KEY: not set; production takes a secret of your own")
    return faults


def effective(settings: Settings) -> dict[str, str]:
    """Every variable with its value in force, secrets masked: what is logged at start."""
    return {
        variable.name: variable.mask(_shown(getattr(settings, attribute)))
        for attribute, variable in variables().items()
    }


def _shown(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else "" if value is None else str(value)

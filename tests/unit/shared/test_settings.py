"""What the environment may say, and the line that a wrong value is answered with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.settings import InvalidSetting, Settings, effective, masked, read_settings, variables

PRODUCTION = {
    "APP_ENV": "production",
    "DATABASE_URL": "mysql+pymysql://leadgate:o5TqsH2@db:3306/leadgate",
    "AMQP_URL": "amqp://leadgate:o5TqsH2@queue:5672/",
    "JWT_KEYS_DIR": "/etc/leadgate/jwt-keys",
    "EMAIL_HASH_KEY": "s3cret" * 6,
}


def faults(environment: dict[str, str]) -> list[str]:
    """The lines that refuse this environment."""
    with pytest.raises(InvalidSetting) as refused:
        read_settings(environment)
    return str(refused.value).splitlines()


def test_without_variables_everything_has_its_default() -> None:
    assert read_settings({}) == Settings()


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read_settings({variable.name: "" for variable in variables().values()}) == Settings()


def test_the_environment_is_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_LIMIT_PER_MINUTE", "7")
    assert read_settings().rate_limit_per_minute == 7


@pytest.mark.parametrize(
    ("name", "text", "attribute", "value"),
    [
        ("APP_ENV", "development", "app_env", "development"),
        ("DATA_DIR", "/tmp/../srv", "data_dir", Path("/srv")),
        ("DATABASE_URL", "mysql+pymysql://u:p@h/n", "database_url", "mysql+pymysql://u:p@h/n"),
        ("DATABASE_URL", "sqlite:////srv/x.sqlite3", "database_url", "sqlite:////srv/x.sqlite3"),
        ("AMQP_URL", "amqps://h", "amqp_url", "amqps://h"),
        ("REDIS_URL", "rediss://h:1/2", "redis_url", "rediss://h:1/2"),
        ("BIND_HOST", "0.0.0.0", "bind_host", "0.0.0.0"),
        ("INGEST_PORT", "65535", "ingest_port", 65535),
        ("ADMIN_PORT", "1", "admin_port", 1),
        ("WEB_WORKERS", "256", "web_workers", 256),
        ("RATE_LIMIT_PER_MINUTE", "1000000000", "rate_limit_per_minute", 10**9),
        ("JWT_KEYS_DIR", "/srv/keys", "jwt_keys_dir", Path("/srv/keys")),
        ("EMAIL_HASH_KEY", "x" * 32, "email_hash_key", "x" * 32),
        ("DUPLICATE_WINDOW_DAYS", "0", "duplicate_window_days", 0),
        ("DUPLICATE_POLICY", "reject", "duplicate_policy", "reject"),
        ("LOG_LEVEL", "debug", "log_level", "debug"),
    ],
)
def test_each_variable_is_taken(name: str, text: str, attribute: str, value: Any) -> None:
    assert getattr(read_settings({name: text}), attribute) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("APP_ENV", "prod"),
        ("APP_ENV", "Production"),
        ("DATABASE_URL", "postgresql://h/n"),
        ("DATABASE_URL", "mysql+pymysql:///n"),
        ("AMQP_URL", "http://h"),
        ("AMQP_URL", "amqp://h:port"),
        ("AMQP_URL", "amqp://h:99999"),
        ("REDIS_URL", "redis://"),
        ("INGEST_PORT", "0"),
        ("INGEST_PORT", "65536"),
        ("ADMIN_PORT", "8081.0"),
        ("ADMIN_PORT", "٨٠٨١"),
        ("WEB_WORKERS", "-1"),
        ("WEB_WORKERS", "1_0"),
        ("WEB_WORKERS", " 1"),
        ("RATE_LIMIT_PER_MINUTE", "1e3"),
        ("RATE_LIMIT_PER_MINUTE", "1000000001"),
        ("RATE_LIMIT_PER_MINUTE", "1" * 5000),
        ("LOG_LEVEL", "verbose"),
    ],
)
def test_a_wrong_value_is_one_line_with_variable_value_and_what_it_takes(name: str, text: str) -> None:
    takes = {variable.name: variable.takes for variable in variables().values()}[name]
    assert faults({name: text}) == [f"{name}: got {text!r}, takes {takes}"]


def test_a_line_break_in_a_value_makes_no_second_line() -> None:
    assert len(faults({"APP_ENV": "a\nb"})) == 1


def test_every_wrong_variable_has_its_line() -> None:
    lines = faults({"INGEST_PORT": "x", "LOG_LEVEL": "y", "ADMIN_PORT": "8081", "WEB_WORKERS": "z"})
    assert [line.split(":")[0] for line in lines] == ["INGEST_PORT", "WEB_WORKERS", "LOG_LEVEL"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:s3cret@host/name",
        "amqp://user:s3cret@host:port/",
        "amqp:user:s3cret@host/",
        "amqp://user:x/s3cret@host/",
        "amqp://user:x#s3cret@host/",
        "amqp://user:x@s3cret@host:port/",
        "http://host/?password=s3cret",
        "s3cret",
    ],
)
def test_no_password_of_a_wrong_url_is_shown(url: str) -> None:
    (line,) = faults({"AMQP_URL": url})
    assert line.startswith("AMQP_URL: got ")
    assert "s3cret" not in line


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mysql+pymysql://user:a:b@host:3306/name", "mysql+pymysql://user:***@host:3306/name"),
        ("redis://:word@host/0", "redis://:***@host/0"),
        ("redis://host/0?db=1&password=word&x=2", "redis://host/0?db=1&password=***&x=2"),
        ("amqp://user@host:5672/", "amqp://user@host:5672/"),
        ("sqlite:////srv/leads.sqlite3", "sqlite:////srv/leads.sqlite3"),
    ],
)
def test_a_masked_url_shows_all_but_its_password(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize("key", ["s3cret", "redis://" + "s3cret"])
def test_a_wrong_key_is_not_shown(key: str) -> None:
    assert faults({"EMAIL_HASH_KEY": key}) == [
        "EMAIL_HASH_KEY: got '***', takes a secret of at least 32 characters"
    ]


def test_the_values_in_force_are_shown_by_variable_with_secrets_masked() -> None:
    secret = {"AMQP_URL": "amqp://user:s3cret@host", "EMAIL_HASH_KEY": "redis://" + "s3cret" * 6}
    shown = effective(read_settings(secret | {"WEB_WORKERS": "3"}))
    assert shown["EMAIL_HASH_KEY"] == "***"
    assert effective(Settings())["EMAIL_HASH_KEY"] == ""
    assert list(shown) == [variable.name for variable in variables().values()]
    assert shown["AMQP_URL"] == "amqp://user:***@host"
    assert shown["WEB_WORKERS"] == "3"
    assert shown["REDIS_URL"] == ""


def test_files_of_the_embedded_parts_lie_under_the_data_folder() -> None:
    settings = read_settings({"DATA_DIR": "/srv/leadgate"})
    assert settings.leads_database_url == "sqlite:////srv/leadgate/leadgate.sqlite3"
    assert settings.queues_path == Path("/srv/leadgate/queues")
    assert settings.jwt_keys_path == Path("/srv/leadgate/jwt-keys")


def test_servers_that_are_named_take_the_place_of_embedded_parts() -> None:
    settings = read_settings({"DATABASE_URL": "mysql+pymysql://h/n", "JWT_KEYS_DIR": "/srv/keys"})
    assert settings.leads_database_url == "mysql+pymysql://h/n"
    assert settings.jwt_keys_path == Path("/srv/keys")


def test_production_starts_with_servers_and_secrets_of_its_own() -> None:
    assert read_settings(PRODUCTION).app_env == "production"


@pytest.mark.parametrize("name", ["DATABASE_URL", "AMQP_URL", "JWT_KEYS_DIR", "EMAIL_HASH_KEY"])
def test_production_refuses_to_start_without(name: str) -> None:
    (line,) = faults(PRODUCTION | {name: ""})
    assert line.startswith(f"{name}: not set; production takes ")


@pytest.mark.parametrize(
    "password", ["", ":", ":guest", ":root", ":password", ":password123", ":secret", ":!changeMe!"]
)
@pytest.mark.parametrize(("name", "scheme"), [("DATABASE_URL", "mysql+pymysql"), ("AMQP_URL", "amqp")])
def test_production_refuses_a_default_or_no_password(name: str, scheme: str, password: str) -> None:
    (line,) = faults(PRODUCTION | {name: f"{scheme}://user{password}@host/name"})
    assert line == f"{name}: has a default or empty password; production takes one of your own"


def test_production_takes_a_redis_without_password_but_none_with_a_default_one() -> None:
    assert read_settings(PRODUCTION | {"REDIS_URL": "redis://cache/0"}).redis_url
    (line,) = faults(PRODUCTION | {"REDIS_URL": "redis://:password@cache/0"})
    assert line == "REDIS_URL: has a default password; production takes one of your own"


@pytest.mark.parametrize("data_dir", ["/srv/leadgate", "/srv/other/../leadgate"])
def test_production_refuses_keys_made_for_development(data_dir: str) -> None:
    (line,) = faults(PRODUCTION | {"DATA_DIR": data_dir, "JWT_KEYS_DIR": "/srv/leadgate/jwt-keys"})
    assert line.startswith("JWT_KEYS_DIR: lies under DATA_DIR")


def test_production_names_every_reason_at_once() -> None:
    lines = faults({"APP_ENV": "production", "WEB_WORKERS": "x"})
    assert [line.split(":")[0] for line in lines] == [
        "WEB_WORKERS",
        "DATABASE_URL",
        "AMQP_URL",
        "JWT_KEYS_DIR",
        "EMAIL_HASH_KEY",
    ]


def test_a_default_password_is_refused_in_production_only() -> None:
    assert read_settings({"AMQP_URL": "amqp://guest:guest@127.0.0.1"}).amqp_url

"""What `run` and `demo` take from the environment, and what they tell the user."""

from pathlib import Path

import pytest

from deploy.local_system import PortRefused, Ports, chosen_ports, demo, demo_environment, welcome
from shared.settings import variables

PORTS = Ports(ingest=8080, admin=8081)


@pytest.mark.parametrize("text", ["0", "65536", "80x", "-1", "٣"])
def test_a_port_that_is_no_port_is_one_line_naming_its_variable(text: str) -> None:
    with pytest.raises(PortRefused, match="ADMIN_PORT: got "):
        chosen_ports({"ADMIN_PORT": text})


def test_both_services_on_one_port_are_refused() -> None:
    with pytest.raises(PortRefused, match="INGEST_PORT and ADMIN_PORT"):
        chosen_ports({"INGEST_PORT": "8081"})


def test_demo_logins_are_shown_in_development_only() -> None:
    assert "test@example.com  / password123" in welcome(PORTS, has_demo_users=True)
    assert "password123" not in welcome(PORTS, has_demo_users=False)


def test_the_demo_uses_servers_that_are_named_but_no_folder_of_ours(tmp_path: Path) -> None:
    names = [variable.name for variable in variables().values()]
    settings = demo_environment(dict.fromkeys(names, "ours"), tmp_path, PORTS)
    assert settings["DATABASE_URL"] == settings["AMQP_URL"] == settings["REDIS_URL"] == "ours"
    assert settings["DATA_DIR"] == str(tmp_path)
    assert "JWT_KEYS_DIR" not in settings


def test_the_demo_is_refused_in_production(capsys: pytest.CaptureFixture[str]) -> None:
    def never() -> Path:
        raise AssertionError("it went on")

    assert demo(Path(), {"APP_ENV": "production"}, never) == 2
    assert capsys.readouterr().err.startswith("APP_ENV: ")


def test_ports_not_set_or_empty_are_the_defaults() -> None:
    assert chosen_ports({"ADMIN_PORT": ""}) == PORTS

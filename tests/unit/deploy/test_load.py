"""The command behind `make load-test…`."""

from pathlib import Path

import pytest

from deploy.load import WrongDuration, locust, seconds

PYTHON = Path("/venv/bin/python")


def after(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


def test_it_loads_the_running_system_and_needs_no_browser() -> None:
    command = locust(PYTHON, "spike", {})
    assert command[:3] == [str(PYTHON), "-m", "locust"]
    assert after(command, "--load") == "spike"
    assert after(command, "--host") == "http://127.0.0.1:8080"
    assert after(command, "--html") == "var/load/load-test-spike.html"
    assert "--headless" in command
    assert "--duration" not in command


def test_variables_say_where_the_system_and_its_data_are() -> None:
    command = locust(PYTHON, "complete", {"INGEST_PORT": "9000", "DATA_DIR": "/data", "DURATION": "2m"})
    assert after(command, "--host") == "http://127.0.0.1:9000"
    assert after(command, "--html") == "/data/load/load-test.html"
    assert after(command, "--duration") == "120"


def test_locusts_own_page_listens_on_this_machine_only() -> None:
    command = locust(PYTHON, "sustained", {"WEB": "1"})
    assert after(command, "--web-host") == "127.0.0.1"
    assert "--headless" not in command


@pytest.mark.parametrize(("text", "expected"), [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600)])
def test_a_duration_has_a_unit_or_is_in_seconds(text: str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["0", "-1", "5 m", "1.5", "5d", "m", "٣"])
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(WrongDuration, match="DURATION: got"):
        seconds(text)

"""What a user is told when the system starts, and when it cannot."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.system.running import PARTNER, Ended, System, free_ports


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_the_printed_curl_session_posts_a_lead(system: System, shell: str) -> None:
    for program in (shell, "curl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not here")
    session = system.output[system.output.index("\ncurl ") :].split("\n\n")[0]
    pasted = subprocess.run([shell], input=session, capture_output=True, text=True, timeout=30, check=True)
    assert pasted.stderr == ""
    with system.client() as partner:
        lead = partner.wait_for_lead(json.loads(pasted.stdout)["data"]["id"])
        assert (lead["firstName"], lead["lastName"]) == ("Ada", "Lovelace")
        assert lead in partner.ask("GET", "/api/leads?limit=100").data["items"]


def test_the_user_is_told_the_address_and_the_demo_logins(system: System) -> None:
    assert f"Leadgate is ready at http://127.0.0.1:{system.port} " in system.output
    assert f"http://127.0.0.1:{system.admin_port}" in system.output
    for email in (PARTNER, "admin@example.com"):
        assert any(email in line and "password123" in line for line in system.output.splitlines())


def test_no_password_of_a_server_is_shown(system: System) -> None:
    urls = [value for name, value in system.environment.items() if name.endswith("_URL")]
    passwords = {password for url in urls if (password := urlsplit(url).password)}
    assert not any(f":{password}@" in system.output for password in passwords)


def one_line(ended: Ended) -> str:
    """The only line that a start that failed has said."""
    assert ended.status not in (0, -9, -15)
    [line] = f"{ended.output}{ended.errors}".splitlines()
    return line


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        [port] = free_ports(1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        yield port


@pytest.mark.parametrize("variable", ["INGEST_PORT", "ADMIN_PORT"])
def test_a_taken_port_is_one_line_with_variable_and_port(
    embedded_system: System, taken_port: int, variable: str
) -> None:
    embedded_system.environment[variable] = str(taken_port)
    line = one_line(embedded_system.run_to_end())
    assert line.startswith(f"{variable}: ")
    assert str(taken_port) in line


@pytest.mark.parametrize(
    ("variable", "value", "takes"),
    [
        ("RATE_LIMIT_PER_MINUTE", "abc", "a whole number from 1 to 1000000000"),
        ("WEB_WORKERS", "0", "a whole number from 1 to 256"),
        ("INGEST_PORT", "http", "a port from 1 to 65535"),
        ("LOG_LEVEL", "loud", "debug, info, warning or error"),
    ],
)
def test_a_wrong_variable_is_one_line_with_what_it_got_and_takes(
    embedded_system: System, variable: str, value: str, takes: str
) -> None:
    embedded_system.environment[variable] = value
    line = one_line(embedded_system.run_to_end())
    assert line == f"{variable}: got {value!r}, takes {takes}"


def test_a_database_that_does_not_answer_is_one_line_without_the_password(embedded_system: System) -> None:
    [port] = free_ports(1)
    url = f"mysql+pymysql://lead:s3cret@127.0.0.1:{port}/leadgate"
    embedded_system.environment["DATABASE_URL"] = url
    line = one_line(embedded_system.run_to_end())
    assert line.startswith(f"DATABASE_URL: {url.replace('s3cret', '***')} ")
    assert "s3cret" not in line


def test_a_data_dir_that_cannot_be_made_is_one_line(embedded_system: System) -> None:
    in_the_way = embedded_system.folder / "file"
    in_the_way.touch()
    embedded_system.environment["DATA_DIR"] = str(in_the_way / "data")
    assert one_line(embedded_system.run_to_end()).startswith("DATA_DIR: ")

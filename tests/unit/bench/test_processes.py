"""What is read from /proc."""

import os
import socket
import subprocess
import sys
import time

import pytest

from tests.bench.processes import (
    TICKS,
    CpuClock,
    children,
    cpu_of_stat,
    cpu_seconds,
    listeners,
    listening,
    resident_mib,
    resident_of_status,
)

STAT = "4242 ({name}) S 1 4242 4242 0 -1 4194560 9 0 0 0 {user} {system} 7 8 20 0 3 0 100 2 3"


@pytest.mark.parametrize("name", ["beam.smp", "my worker", "a) S 1 (b"])
def test_cpu_is_user_and_system_time_without_that_of_children(name: str) -> None:
    assert cpu_of_stat(STAT.format(name=name, user=3 * TICKS, system=TICKS // 2)) == 3.5


def test_memory_is_what_is_resident() -> None:
    assert resident_of_status("VmPeak:\t  900 kB\nVmRSS:\t  122880 kB\nVmData:\t 1 kB\n") == 120
    assert resident_of_status("Name:\tkthreadd\n") == 0


def test_only_sockets_that_listen_on_the_port_count() -> None:
    table = "\n".join(
        [
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  t/o inode",
            "   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   103    0 111 1",
            "   1: 0100007F:0CEA 0100007F:D431 01 00000000:00000000 00:00000000 00000000   103    0 222 1",
            "   2: 0100007F:0CEB 00000000:0000 0A 00000000:00000000 00:00000000 00000000   103    0 333 1",
        ]
    )
    assert listeners(table, 3306) == ["111"]


def test_the_process_behind_a_port_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert listening(server.getsockname()[1]) == os.getpid()
        port = server.getsockname()[1]
    assert listening(port) == 0


def test_the_clock_counts_from_its_start() -> None:
    clock = CpuClock({"us": os.getpid(), "nobody": 0})
    before = cpu_seconds(os.getpid())
    while cpu_seconds(os.getpid()) == before:
        time.process_time()
    assert clock.used().keys() == {"us"}
    assert 0 < clock.used()["us"] <= cpu_seconds(os.getpid())


def test_a_process_holds_memory_and_knows_its_children() -> None:
    assert resident_mib(os.getpid()) > 1
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert children(child.pid) == []
        assert child.pid in children(os.getpid())

"""What is said of the machine."""

from tests.bench.machine import cpu_model, machine, memory, versions


def test_the_model_is_read_from_the_first_processor() -> None:
    assert cpu_model("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\nmodel name\t: B\n") == "A CPU @ 2 GHz"


def test_memory_is_told_in_whole_gibibytes() -> None:
    assert memory("MemTotal:       24580096 kB\nMemFree:  1 kB\n") == "23 GiB"
    assert memory("") == "unknown"


def test_a_library_that_is_not_installed_is_left_out() -> None:
    assert [name for name, _ in versions(["flask", "no-such-library"])] == ["flask"]


def test_servers_stand_among_the_facts() -> None:
    facts = machine({"MariaDB": "10.11"})
    assert facts["MariaDB"] == "10.11"
    assert {"cores", "CPU", "memory", "kernel", "Python", "libraries"} <= facts.keys()

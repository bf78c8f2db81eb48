"""What a benchmark found survives its file, and knows whether it met its target."""

from pathlib import Path

import pytest

from tests.bench.results import Section, find, load, measure, save


def section(name: str = "single") -> Section:
    rows = (
        measure("cpu_ours", "CPU", "µs", [401.5, 390.0, 410.25], at_most=400),
        measure("cpu_literal", "CPU of the literal way", "µs", [1700.0]),
    )
    profile = {"A web worker": {"flask": 100.5, "pika": 20.0}}
    return Section(name, "One lead", "How.", rows, "make bench", "2026-11-21", {"cores": "2"}, profile)


def test_a_section_reads_back_as_it_was_saved(tmp_path: Path) -> None:
    save(section(), tmp_path / "new")
    assert load(tmp_path / "new") == [section()]


def test_a_section_takes_the_place_of_its_earlier_self_alone(tmp_path: Path) -> None:
    for name in ("single", "batch", "single"):
        save(section(name), tmp_path)
    assert [found.name for found in load(tmp_path)] == ["batch", "single"]


def test_a_measure_is_the_median_with_its_lowest_and_highest_round() -> None:
    found = measure("x", "x", "µs", [3.0, 9.0, 1.0, 4.0])
    assert (found.value, found.low, found.high, found.rounds) == (3.5, 1.0, 9.0, 4)


@pytest.mark.parametrize(
    ("bound", "met"),
    [
        ({"at_most": 5}, True),
        ({"at_most": 4.9}, False),
        ({"at_least": 5}, True),
        ({"at_least": 5.1}, False),
        ({}, None),
    ],
)
def test_a_target_is_met_on_its_own_side(bound: dict[str, float], met: bool | None) -> None:
    assert measure("x", "x", "µs", [5.0], **bound).met is met


def test_a_measure_is_found_by_its_name_in_any_section() -> None:
    found = find([section("a"), section("b")], "cpu_literal")
    assert found is not None
    assert found.value == 1700
    assert find([section()], "cpu_of_nobody") is None

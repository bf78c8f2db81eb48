"""The page of benchmarks says what the files say."""

from xml.etree import ElementTree

import pytest

from tests.bench.page import number, page, picture
from tests.bench.results import Measure, Section, measure

MACHINE = {"cores": "2", "Python": "3.11"}
OURS = measure("cpu_ours", "CPU of a lead", "µs", [410.0, 400.0, 420.0])
LITERAL = measure("cpu_literal", "CPU, the literal <way>", "µs", [1700.0])
RATIO = measure("literal_over_ours", "literal ÷ ours", "×", [4.2, 4.1, 4.4], at_least=4)


def section(*rows: Measure, name: str = "single", machine: dict[str, str] = MACHINE) -> Section:
    return Section(name, name.title(), f"About {name}.", rows, "make bench", "2026-11-21", machine)


def drawn(*sections: Section) -> ElementTree.Element:
    return ElementTree.fromstring(picture(sections))  # noqa: S314 - our own


def lines(*sections: Section) -> list[str]:
    return page(sections).splitlines()


def test_what_has_a_target_stands_beside_it() -> None:
    assert "| literal ÷ ours | 4.20 × | 4.10 to 4.40 | ≥ 4 × | yes |" in lines(section(RATIO))


def test_a_missed_target_is_said_loudly() -> None:
    missed = measure("batch", "batch of 500", "µs", [31.0], at_most=30)
    assert "| batch of 500 | 31 µs | – | ≤ 30 µs | **no** |" in lines(section(missed))


def test_of_many_alike_the_targets_say_how_many_are_met_and_their_section_has_them_all() -> None:
    reads = [
        measure(f"read {ms}", f"page {ms}", "ms", [ms], at_most=10, group="reads in 10 ms")
        for ms in (9.0, 11.0)
    ]
    shown = lines(section(*reads))
    assert "| reads in 10 ms | 1 of 2 | – | all | **no** |" in shown
    assert shown.index("Reads in 10 ms:") < shown.index("| page 9.0 | 9 ms | – | ≤ 10 ms | yes |")
    assert shown.count("| page 11.0 | 11 ms | – | ≤ 10 ms | **no** |") == 1


def test_what_has_no_target_stands_in_its_section_alone() -> None:
    shown = lines(section(OURS))
    assert "| CPU of a lead | 410 µs | 400 to 420 |" in shown
    assert [line for line in shown if "CPU of a lead" in line and "≤" in line] == []


def test_sections_stand_in_the_order_of_the_way_of_a_lead() -> None:
    shown = lines(section(name="growth"), section(name="another"), section(name="batch"), section())
    assert [line for line in shown if line.startswith("## ")] == [
        *("## Targets", "## Single", "## Batch", "## Growth", "## Another"),
        "## Machine",
    ]


def test_a_profile_shows_what_each_layer_has_of_the_whole() -> None:
    layers = {"flask": 75.0, "pika": 25.0}
    whole = Section("single", "Single", "", (), "make bench", "", MACHINE, {"A web worker": layers})
    assert "| flask | 75 | 75% |" in lines(whole)


def test_a_machine_is_described_once_however_many_sections_were_measured_on_it() -> None:
    other = section(name="growth", machine=MACHINE | {"cores": "64"})
    shown = lines(section(), section(name="batch"), other)
    assert "Measured here: Single (2026-11-21), Batch (2026-11-21)." in shown
    assert shown.count("| cores | 2 |") == shown.count("| cores | 64 |") == 1


def test_the_picture_has_a_bar_for_each_that_was_measured_longer_for_what_costs_more() -> None:
    bars = [bar for bar in drawn(section(OURS, LITERAL)).iter() if bar.get("class") in ("ours", "bar")]
    widths = [float(bar.get("width", 0)) for bar in bars]
    assert len(widths) == 2
    assert widths[1] / widths[0] == pytest.approx(1700 / 410, abs=0.01)


def test_a_picture_of_nothing_is_a_picture() -> None:
    assert drawn().tag.endswith("svg")


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (20000.4, "20,000"), (4.0, "4"), (0.04, "0.04")],
)
def test_numbers_are_as_exact_as_they_are_worth(value: float, text: str) -> None:
    assert number(value) == text

"""Makes docs/benchmarks.md and its picture from docs/benchmarks/*.json: `python -m tests.bench.page`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from tests.bench.results import AT_MOST, FOLDER, Measure, Section, find, load

PAGE = Path("docs") / "benchmarks.md"
PICTURE = Path("docs") / "benchmarks.svg"
# The bars of the picture, from the measures of these names; a rival that was not measured has none.
BARS = {
    "cpu_empty_flask": "empty Flask POST",
    "cpu_ours": "Leadgate",
    "cpu_fastapi": "FastAPI, same work",
    "cpu_literal": "Flask, the literal way",
}
# The order of the sections; others follow by name.
ORDER = ("single", "batch", "million", "chain", "latency", "growth")
HEAD = ["| measure | median | lowest to highest | target | met |", "| --- | ---: | ---: | ---: | --- |"]
SMALL = 100  # from here on decimals say nothing


def main() -> None:
    """Makes both anew."""
    sections = load(FOLDER)
    PAGE.write_text(page(sections), "utf-8")
    PICTURE.write_text(picture(sections), "utf-8")


def page(sections: Sequence[Section]) -> str:
    """The whole page in Markdown."""
    sections = sorted(sections, key=lambda section: (place(section), section.name))
    makers = " and ".join(dict.fromkeys(f"`{section.made_by}`" for section in sections))
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"Made by {makers}; not to be edited. Each figure is the median of rounds that took turns",
            "with what it is compared with, beside it the lowest and the highest round. CPU is user and",
            "system time of exactly the process named, as the kernel counts it. Absolute figures are",
            "this machine's; ratios carry over.",
            "",
            "![CPU of the web worker for each accepted lead](benchmarks.svg)",
            "",
            *targets(sections),
            *(line for section in sections for line in details(section)),
            *machines(sections),
        ]
    )


def place(section: Section) -> int:
    return ORDER.index(section.name) if section.name in ORDER else len(ORDER)


def targets(sections: Iterable[Section]) -> Iterator[str]:
    """The table of everything that has a target; a line for each group of many alike."""
    yield from ["## Targets", ""]
    yield from ["Where one is missed, its section shows what the cost is made of.", "", *HEAD]
    for section in sections:
        yield from (row(found) for found in section.measures if found.met is not None and not found.group)
        for group, members in groups(section).items():
            met = sum(found.met is True for found in members)
            all_met = "yes" if met == len(members) else "**no**"
            yield f"| {group} | {met} of {len(members)} | – | all | {all_met} |"
    yield ""


def groups(section: Section) -> dict[str, list[Measure]]:
    """The measures that are alike, by what they are together."""
    found: dict[str, list[Measure]] = {}
    for one in section.measures:
        if one.group:
            found.setdefault(one.group, []).append(one)
    return found


def details(section: Section) -> Iterator[str]:
    """How a section was measured, what it has beside its targets, what its costs are made of."""
    yield from [f"## {section.title}", "", section.about, ""]
    beside = [found for found in section.measures if found.met is None]
    if beside:
        yield from ["| measure | median | lowest to highest |", "| --- | ---: | ---: |"]
        yield from (
            f"| {found.about} | {shown(found.value, found.unit)} | {spread(found)} |" for found in beside
        )
        yield ""
    for group, members in groups(section).items():
        yield from [f"{group[0].upper()}{group[1:]}:", "", *HEAD, *map(row, members), ""]
    for heading, layers in section.profiles.items():
        yield from [f"{heading}:", "", "| layer | µs | share |", "| --- | ---: | ---: |"]
        whole = sum(layers.values())
        for layer, cost in layers.items():
            yield f"| {layer} | {number(cost)} | {cost / whole:.0%} |"
        yield ""


def machines(sections: Iterable[Section]) -> Iterator[str]:
    """Every machine that sections were measured on, with their days."""
    yield from ["## Machine", ""]
    seen: dict[tuple[tuple[str, str], ...], list[Section]] = {}
    for section in sections:
        seen.setdefault(tuple(section.machine.items()), []).append(section)
    for facts, those in seen.items():
        titles = ", ".join(f"{section.title} ({section.taken})" for section in those)
        yield from [f"Measured here: {titles}.", "", "| | |", "| --- | --- |"]
        yield from (f"| {name} | {value} |" for name, value in facts)
        yield ""


def row(found: Measure) -> str:
    """One line of the table of targets."""
    sign = "≤" if found.wants == AT_MOST else "≥"
    target = f"{sign} {shown(found.target or 0, found.unit)}"
    met = "yes" if found.met else "**no**"
    return f"| {found.about} | {shown(found.value, found.unit)} | {spread(found)} | {target} | {met} |"


def spread(found: Measure) -> str:
    return "–" if found.rounds == 1 else f"{number(found.low)} to {number(found.high)}"


def shown(value: float, unit: str) -> str:
    return f"{number(value)} {unit}".strip()


def number(value: float) -> str:
    """Three digits that say something, thousands apart."""
    if abs(value) >= SMALL or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def printed(section: Section) -> Iterator[str]:
    """The same rows for a terminal."""
    yield f"\n{section.title}"
    for found in section.measures:
        target = ""
        if found.met is not None:
            sign = "≤" if found.wants == AT_MOST else "≥"
            target = f"  {sign} {number(found.target or 0)}  {'met' if found.met else 'MISSED'}"
        yield f"  {found.about:80} {shown(found.value, found.unit):>16}  ({spread(found)}){target}"
    for heading, layers in section.profiles.items():
        yield f"\n  {heading}"
        yield from (f"    {layer:40} {number(cost):>8} µs" for layer, cost in layers.items())


WIDTH, LEFT, RIGHT, LINE = 720, 190, 110, 44
STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1f2933 }
.title { font-weight: 600; font-size: 16px }
.value { font-variant-numeric: tabular-nums }
.bar { fill: #9fb3c8 } .ours { fill: #2f6fb0 } .spread { stroke: #1f2933; stroke-width: 1.5 }
"""


def picture(sections: Sequence[Section]) -> str:
    """A bar for each of BARS that was measured, as SVG; the thin line is the lowest to the highest round."""
    bars = [(label, found) for name, label in BARS.items() if (found := find(sections, name))]
    height = 60 + LINE * len(bars)
    longest = max((found.high for _, found in bars), default=1.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text class="title" x="16" y="28">'
        "CPU of the web worker for each accepted lead, µs (less is better)</text>",
    ]
    for index, (label, found) in enumerate(bars):
        parts += bar(label, found, 48 + LINE * index, (WIDTH - LEFT - RIGHT) / longest)
    return "\n".join([*parts, "</svg>", ""])


def bar(label: str, found: Measure, top: int, scale: float) -> list[str]:
    kind = "ours" if found.name == "cpu_ours" else "bar"
    low, high, end = (LEFT + scale * value for value in (found.low, found.high, found.value))
    middle = top + 14
    return [
        f'<text x="{LEFT - 12}" y="{middle + 5}" text-anchor="end">{escape(label)}</text>',
        f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{end - LEFT:.1f}" height="28" rx="3"/>',
        f'<line class="spread" x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}"/>',
        f'<text class="value" x="{max(high, end) + 10:.1f}" y="{middle + 5}">{number(found.value)} µs</text>',
    ]


if __name__ == "__main__":
    main()

"""The picture of `make bench-growth`: what inserts and some reads cost, by the number of leads."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from tests.bench.svg import svg

PICTURE = Path("docs") / "growth.svg"
READS = {
    "first page": "#2f6fb0",
    "page 10,000 by createdAt": "#b0562f",
    "cursor in the middle by email ASC": "#3f8f5f",
    "filter test=true by email ASC": "#8a5fb0",
    "one lead by its id": "#52606d",
}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 300, 60, 290, 50, 40
STYLE = (
    "text { font: 13px system-ui, sans-serif; fill: #1f2933 } .title { font-weight: 600; font-size: 16px }"
)

Lines = dict[str, tuple[str, dict[int, float]]]  # by label, a colour and values by the number of leads


def write(inserts: Mapping[int, Sequence[float]], reads: Mapping[int, Mapping[str, Sequence[float]]]) -> None:
    """The picture, of the values of each round by the number of leads."""
    of_inserts: Lines = {
        "inserts": ("#2f6fb0", {size: statistics.median(rates) for size, rates in inserts.items()})
    }
    of_reads: Lines = {
        name: (colour, {size: statistics.median(found[name]) for size, found in reads.items()})
        for name, colour in READS.items()
    }
    PICTURE.write_text(picture([("Leads stored a second", of_inserts), ("Milliseconds a request", of_reads)]))


def picture(charts: Sequence[tuple[str, Lines]]) -> str:
    """The charts one below the other, as SVG."""
    parts: list[str] = []
    for place, (title, lines) in enumerate(charts):
        parts += [f'<g transform="translate(0 {place * HEIGHT})">', *_chart(title, lines), "</g>"]
    return svg(WIDTH, HEIGHT * len(charts), STYLE, parts)


def _chart(title: str, lines: Lines) -> list[str]:
    sizes = sorted({size for _, values in lines.values() for size in values})
    highest = max(value for _, values in lines.values() for value in values.values())
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    span = math.log10(sizes[-1] / sizes[0]) or 1.0

    def x(size: int) -> float:
        return LEFT + wide * math.log10(size / sizes[0]) / span

    def y(value: float) -> float:
        return TOP + high * (1 - value / highest)

    parts = [f'<text class="title" x="16" y="28">{escape(title)}</text>']
    for value in (0.0, highest / 2, highest):
        parts += [
            f'<path d="M{LEFT} {y(value):.0f}h{wide}" stroke="#d9e2ec"/>',
            f'<text x="{LEFT - 8}" y="{y(value) + 4:.0f}" text-anchor="end">{value:,.0f}</text>',
        ]
    parts += [
        f'<text x="{x(size):.0f}" y="{HEIGHT - 14}" text-anchor="middle">{size:,}</text>' for size in sizes
    ]
    for number, (label, (colour, values)) in enumerate(lines.items()):
        points = " ".join(f"{x(size):.0f},{y(values[size]):.1f}" for size in sorted(values))
        middle = TOP + 20 * number
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>',
            f'<rect x="{LEFT + wide + 40}" y="{middle - 9}" width="10" height="10" fill="{colour}"/>',
            f'<text x="{LEFT + wide + 56}" y="{middle}">{escape(label)}</text>',
        ]
    return parts

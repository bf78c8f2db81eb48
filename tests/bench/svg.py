"""The frame of our pictures."""

from __future__ import annotations

from collections.abc import Iterable


def svg(width: int, height: int, style: str, parts: Iterable[str]) -> str:
    """A picture on white; `style` is CSS."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img">',
            f"<style>{style}</style>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )

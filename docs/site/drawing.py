"""What the pictures of the documents are drawn with: boxes, arrows between them and words, as SVG.

The rule: the same input gives the same text, so that a test can hold a picture to the code that it is drawn from.
`layers.py` and `request.py` beside it draw with this.
"""

import html
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

INK, LINE, PALE = "#263238", "#546e7a", "#607d8b"


class Box(NamedTuple):
    """A box with a name and a line of words below it."""

    x: float  # of its middle
    y: float
    width: float
    height: float
    name: str
    words: str = ""
    fill: str = "#e3f2fd"


def picture(width: int, height: int, label: str, parts: Iterable[str]) -> str:
    """A whole picture."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
            f'font-size="13" role="img" aria-label="{html.escape(label)}">',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            f'<path d="M0 0 8 4 0 8z" fill="{LINE}"/></marker></defs>',
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *parts,
            "</svg>\n",
        ]
    )


def boxed(box: Box) -> Iterator[str]:
    """Draw a box."""
    yield (
        f'<rect x="{box.x - box.width / 2:.0f}" y="{box.y - box.height / 2:.0f}" width="{box.width:.0f}" '
        f'height="{box.height:.0f}" rx="8" fill="{box.fill}" stroke="{LINE}"/>'
    )
    yield words(box.x, box.y + (-2 if box.words else 5), box.name, bold=True)
    if box.words:
        yield words(box.x, box.y + 15, box.words, size=11, colour=PALE)


def words(
    x: float, y: float, text: str, *, bold: bool = False, size: int = 13, colour: str = INK, at: str = "middle"
) -> str:
    """Draw words, with their middle or their beginning at a place."""
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{at}" font-size="{size}"{weight} fill="{colour}">'
        f"{html.escape(text)}</text>"
    )


def arrow(source: Box, target: Box) -> str:
    """Draw an arrow from the edge of a box to that of another."""
    start, end = _edge(source, target), _edge(target, source)
    return line(f"M{start[0]:.0f} {start[1]:.0f} L{end[0]:.0f} {end[1]:.0f}")


def line(d: str, *, dashed: bool = False) -> str:
    """Draw a line with a tip."""
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<path d="{d}" fill="none" stroke="{LINE}"{dash} marker-end="url(#tip)"/>'


def _edge(box: Box, towards: Box) -> tuple[float, float]:
    """Where the line from the middle of a box towards another one leaves the box."""
    dx, dy = towards.x - box.x, towards.y - box.y
    scale = min(box.width / 2 / abs(dx) if dx else math.inf, box.height / 2 / abs(dy) if dy else math.inf)
    return box.x + dx * scale, box.y + dy * scale

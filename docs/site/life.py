"""Draw the life of an instance, from the table of its steps:  python docs/site/life.py > docs/pictures/life.svg

The rule: every step of `TRANSITIONS` is in the picture, and nothing else. A step that leads from all members of a frame
to one status is one arrow from the frame. `tests/house/test_pictures.py` holds the picture to the table.
"""

import math
from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import NamedTuple

from perdure.runtime.history.status import TERMINAL, TRANSITIONS, Status, Step

WIDTH, HEIGHT = 120, 40  # of a box
SIZE = (1080, 560)
# The middles of the boxes. CONTINUED_AS_NEW and CANCELED are never seen: no step leads there.
PLACES: dict[Status | None, tuple[float, float]] = {
    Status.PENDING: (130, 270),
    Status.RUNNING: (430, 270),
    Status.SUSPENDED: (430, 90),
    Status.STALLED: (430, 450),
    Status.COMPLETED: (960, 90),
    Status.FAILED: (960, 270),
    Status.TERMINATED: (960, 450),
}
LIVE = frozenset({Status.PENDING, Status.RUNNING, Status.SUSPENDED, Status.STALLED})
# Frames: left, top, right, bottom.
FRAMES: dict[frozenset[Status], tuple[float, float, float, float]] = {
    LIVE: (40, 40, 660, 500),
    TERMINAL: (870, 40, 1050, 500),
}
COLOURS = {
    Status.PENDING: "#e8eaf6",
    Status.RUNNING: "#e3f2fd",
    Status.SUSPENDED: "#fff8e1",
    Status.STALLED: "#fbe9e7",
    Status.COMPLETED: "#e8f5e9",
    Status.FAILED: "#ffebee",
    Status.TERMINATED: "#eceff1",
}
# How far arrows bend to their left, where a straight one would meet a box or another arrow's words.
BENDS = {
    (Status.PENDING, Status.FAILED): -75,
    (Status.STALLED, Status.SUSPENDED): -130,
    (Status.RUNNING, Status.COMPLETED): 24,
    (Status.SUSPENDED, Status.FAILED): -24,
}
End = Status | frozenset[Status]


class Arrow(NamedTuple):
    """Steps from a box or a frame to a box."""

    source: End
    target: Status
    steps: tuple[Step, ...]


def arrows() -> Iterator[Arrow]:
    """The arrows of the table, without the first start."""
    found: dict[tuple[End, Status], list[Step]] = {}
    for step in Step:
        leads = {source: target for (source, its), target in TRANSITIONS.items() if its is step and source is not None}
        for frame in FRAMES:
            inside = {leads.get(status) for status in frame}
            if len(inside) == 1 and (target := inside.pop()) is not None:
                found.setdefault((frame, target), []).append(step)
                leads = {source: to for source, to in leads.items() if source not in frame}
        for source, target in leads.items():
            found.setdefault((source, target), []).append(step)
    return (Arrow(source, target, tuple(steps)) for (source, target), steps in found.items())


def drawn() -> str:
    """The picture, as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE[0]} {SIZE[1]}" font-family="sans-serif" '
        'font-size="13" role="img" aria-label="The life of an instance">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#546e7a"/></marker></defs>',
        f'<rect width="{SIZE[0]}" height="{SIZE[1]}" fill="#ffffff"/>',
        *(_frame(*corners) for corners in FRAMES.values()),
        *_arrow((130, 180), (130, 250), 0, (Step.START,)),
        *(part for arrow in arrows() for part in _drawn(arrow)),
        *(_box(status, x, y) for status, (x, y) in PLACES.items() if status is not None),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _drawn(arrow: Arrow) -> Iterable[str]:
    target = PLACES[arrow.target]
    if isinstance(arrow.source, frozenset):
        left, _, right, bottom = FRAMES[arrow.source]
        if arrow.target in arrow.source:  # from the frame into it: set aside
            return _arrow((target[0] - 180, bottom), _edge(target, (target[0] - 180, bottom)), 0, arrow.steps)
        if arrow.target in TERMINAL:
            return _arrow((right, target[1]), _edge(target, (right, target[1])), 0, arrow.steps)
        return _around((left + 60, bottom), (target[0] - 30, target[1] + HEIGHT / 2), arrow.steps)
    source = PLACES[arrow.source]
    if arrow.source is arrow.target:
        return _loop(source, arrow.steps)
    back = (arrow.target, arrow.source) in {(other.source, other.target) for other in arrows()}
    bend = BENDS.get((arrow.source, arrow.target), 26 if back else 0)
    return _arrow(_edge(source, target), _edge(target, source), bend, arrow.steps)


def _edge(middle: tuple[float, float], towards: tuple[float, float]) -> tuple[float, float]:
    """Where the line from the middle of a box towards a point leaves the box."""
    dx, dy = towards[0] - middle[0], towards[1] - middle[1]
    scale = min(WIDTH / 2 / abs(dx) if dx else math.inf, HEIGHT / 2 / abs(dy) if dy else math.inf)
    return middle[0] + dx * scale, middle[1] + dy * scale


def _arrow(start: tuple[float, float], end: tuple[float, float], bend: float, steps: Iterable[Step]) -> Iterator[str]:
    """A line that bends to its left by `bend`, with its steps at its middle."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    middle = ((start[0] + end[0]) / 2 + bend * dy / length, (start[1] + end[1]) / 2 - bend * dx / length)
    control = (2 * middle[0] - (start[0] + end[0]) / 2, 2 * middle[1] - (start[1] + end[1]) / 2)
    yield _path(f"M{_p(start)} Q{_p(control)} {_p(end)}")
    yield _label(middle, steps)


def _around(start: tuple[float, float], end: tuple[float, float], steps: Iterable[Step]) -> Iterator[str]:
    """From the frame at the right, below everything, to a box at the left."""
    right = FRAMES[TERMINAL][0] + 60
    yield _path(f"M{right} {start[1]} V{start[1] + 30} H{end[0]} V{end[1]}")
    yield _label(((right + end[0]) / 2, start[1] + 30), steps)


def _loop(middle: tuple[float, float], steps: Iterable[Step]) -> Iterator[str]:
    x, y = middle[0] - WIDTH / 4, middle[1] + HEIGHT / 2
    yield _path(f"M{x + 10} {y} C{x + 24} {y + 50} {x - 40} {y + 50} {x - 16} {y}")
    yield _label((x - 6, y + 40), steps)


def _label(at: tuple[float, float], steps: Iterable[Step]) -> str:
    lines = [line for step in steps for line in wrap(step.value, 16)]
    top = at[1] - 8 * (len(lines) - 1) + 4
    spans = "".join(f'<tspan x="{at[0]:.0f}" y="{top + 16 * n:.0f}">{line}</tspan>' for n, line in enumerate(lines))
    halo = 'stroke="#ffffff" stroke-width="4" paint-order="stroke"'
    return f'<text text-anchor="middle" fill="#263238" {halo}>{spans}</text>'


def _box(status: Status, x: float, y: float) -> str:
    return (
        f'<rect x="{x - WIDTH / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="8" '
        f'fill="{COLOURS[status]}" stroke="#546e7a"/>'
        f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle" font-weight="bold" fill="#263238">{status.name}</text>'
    )


def _frame(left: float, top: float, right: float, bottom: float) -> str:
    return (
        f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" rx="14" fill="none" '
        'stroke="#b0bec5" stroke-dasharray="5 4"/>'
    )


def _path(d: str) -> str:
    return f'<path d="{d}" fill="none" stroke="#546e7a" marker-end="url(#tip)"/>'


def _p(point: tuple[float, float]) -> str:
    return f"{point[0]:.0f} {point[1]:.0f}"


if __name__ == "__main__":
    print(drawn(), end="")

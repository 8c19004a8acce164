"""A plot as a value: panels, lines, points and bars.

`benchmarks/report/plots.py` makes plots of results; `benchmarks/report/drawing.py` and `benchmarks/report/page.py`
draw them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from .cases import Case, Range


class Scale(Enum):
    """How numbers become places along an axis."""

    LINEAR = "linear"
    LOG = "log"
    NINES = "nines"  # of percentiles: 50, 90, 99, 99.9 % lie equally far apart


@dataclass(frozen=True, slots=True)
class Point:
    """A median, and how far the runs lie apart."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points that belong together.

    Args:
        color: Lines of one color are of one thing.
        dashed: The second line of that thing.
        raw: So many points that they are a curve and no points.
    """

    label: str
    points: Sequence[Point]
    color: int
    dashed: bool = False
    raw: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A figure, and how far the runs lie apart."""

    label: str
    value: Range
    text: str
    color: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A frame with two axes, or with bars."""

    title: str
    x_title: str = ""
    y_title: str = ""
    x_scale: Scale = Scale.LINEAR
    y_scale: Scale = Scale.LINEAR
    lines: Sequence[Line] = ()
    bars: Sequence[Bar] = ()
    diagonal: bool = False  # where both axes have the same unit: as much as was asked for
    from_zero: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A drawing with its words."""

    name: str  # of its file
    title: str
    note: str  # how to read it
    panels: Sequence[Panel]
    cases: Sequence[Case] = field(repr=False)  # what it is drawn from

"""Drawing: plots as SVG and PNG, by matplotlib, from one drawing for both.

The one law: a drawing adds nothing. It looks the same on every machine, byte
for byte, and what tells two lines apart is never their color alone.

matplotlib is an extra, and imported only when something is drawn.
"""

import importlib.util
import io
import re
from collections.abc import Mapping, Sequence
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .plot import Bar, Line, Panel, Plot, Scale
from .tables import written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colors, which those who see fewer colors can tell apart, in an order that keeps neighbours far apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555", "#A6761D")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
INK = "#222222"
FAINT = "#767676"
GRID = "#E4E4E4"
EDGE = "#9A9A9A"
ASKED = "#B0B0B0"  # the line on which what was asked for lies
STYLE: Any = {  # matplotlib types this by the names of all its settings, which differ from release to release
    "font.family": "DejaVu Sans",  # which matplotlib brings along
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": EDGE,
    "axes.labelcolor": FAINT,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlepad": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text that can be searched and read out
}

# In a page the colours of a drawing follow its reader's system: each colour that is drawn with is a variable, with a
# value for the light, and one for the dark that is as far from the background.
LIGHT = {
    "paper": "#FFFFFF",
    "ink": INK,
    "faint": FAINT,
    "grid": GRID,
    "edge": EDGE,
    "asked": ASKED,
    **{f"line-{place}": color for place, color in enumerate(COLORS)},
}
DARK_LINES = ("#5AA9E6", "#F08A4B", "#3CC7A0", "#E3A3C6", "#F2B84B", "#8FD0F5", "#A9B2BF", "#C9A15B")
DARK = {
    "paper": "#151B24",
    "ink": "#E3E8F0",
    "faint": "#97A3B4",
    "grid": "#242D3A",
    "edge": "#4A5666",
    "asked": "#5B6778",
    **{f"line-{place}": color for place, color in enumerate(DARK_LINES)},
}

WIDTH_IN = 9.6
PANEL_HEIGHT_IN = 3.7
COLUMNS = 2
ALONE = 0.66  # of the width, for a panel that has the row to itself
BAR_IN = 0.30
LEGEND_COLUMNS = 2
LEGEND_BELOW_IN = 0.44
DPI = 144


class NothingToDrawWith(Exception):
    """matplotlib is not installed."""

    def __str__(self) -> str:
        return "drawing needs matplotlib: pip install 'perdure[bench]'"


def demand_matplotlib() -> None:
    """See that drawing will work, before time is spent on what is to be drawn.

    Raises:
        NothingToDrawWith: It will not.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise NothingToDrawWith


def svg_of(plot: Plot) -> str:
    """A plot as an element of HTML."""
    import matplotlib as mpl  # noqa: PLC0415  the extra

    out = io.StringIO()
    # Ids would be chance otherwise; several drawings share a page, so that each has its own.
    with mpl.rc_context(STYLE | {"svg.hashsalt": plot.name, "svg.id": f"plot-{plot.name}"}):
        figure_of(plot).savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return inlined(out.getvalue(), plot)


def inlined(document: str, plot: Plot) -> str:
    """An SVG document as a part of another: without its prologue, and with a name for those who do not see it."""
    element = document[document.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    # matplotlib numbers its groups from one in each drawing.
    element = re.sub(
        r' id="(?:figure|axes|patch|line2d|text|matplotlib\.axis|xtick|ytick|legend|LineCollection'
        r'|FillBetweenPolyCollection|PolyCollection)_\d+"',
        "",
        element,
    )
    element = re.sub(r'<svg ([^>]*?)width="[^"]*pt" height="[^"]*pt"', r"<svg \1", element, count=1)
    for name, color in LIGHT.items():
        element = re.sub(rf"(?i)(fill|stroke): {color}\b", rf"\1: var(--{name}, {color.lower()})", element)
    width = f"{100 * width_of(plot) / WIDTH_IN:.0f}%"
    return element.replace("<svg ", f'<svg role="img" aria-label="{plot.name}" style="width: {width}" ', 1)


def css_of(colors: Mapping[str, str]) -> str:
    """Colours as variables of a style sheet."""
    return " ".join(f"--{name}: {color.lower()};" for name, color in colors.items())


def write_png(plot: Plot, folder: Path) -> Path:
    """Draw a plot into a file of its name."""
    import matplotlib as mpl  # noqa: PLC0415  the extra

    path = folder / f"{plot.name}.png"
    with mpl.rc_context(STYLE):
        figure = figure_of(plot)
        figure.suptitle(plot.title, x=0.012, ha="left", fontsize=12.5, fontweight="bold")
        figure.savefig(path, dpi=DPI, metadata={"Software": None})
    return path


def figure_of(plot: Plot) -> "Figure":
    # Without pyplot, which keeps every figure in a global list and asks for a screen.
    from matplotlib.figure import Figure  # noqa: PLC0415  the extra
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415  the extra

    columns = columns_of(plot)
    rows = -(-len(plot.panels) // columns)
    heights = [
        max(height_of(panel) for panel in plot.panels[row * columns : (row + 1) * columns]) for row in range(rows)
    ]
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.10, wspace=0.04)
    figure = Figure(figsize=(width_of(plot), sum(heights)), layout=layout)
    grid = figure.subplots(rows, columns, squeeze=False, height_ratios=heights)
    places = [axes for row in grid for axes in row]
    for panel, axes in zip(plot.panels, places, strict=False):
        draw(panel, axes)
    for axes in places[len(plot.panels) :]:
        axes.set_visible(False)
    return figure


def columns_of(plot: Plot) -> int:
    return min(COLUMNS, len(plot.panels))


def width_of(plot: Plot) -> float:
    return WIDTH_IN if columns_of(plot) > 1 else WIDTH_IN * ALONE


def height_of(panel: Panel) -> float:
    return 0.62 + BAR_IN * len(panel.bars) if panel.bars else PANEL_HEIGHT_IN


def draw(panel: Panel, axes: "Axes") -> None:
    axes.set_title(panel.title)
    if panel.bars:
        draw_bars(panel.bars, axes)
        return
    axes.set_xlabel(panel.x_title)
    set_scales(panel, axes)
    for line in panel.lines:
        draw_line(line, axes)
    if panel.diagonal:
        asked = sorted({point.x for line in panel.lines for point in line.points})
        axes.plot(asked, asked, color=ASKED, linewidth=1, zorder=1)
    set_limits(panel, axes)
    if any(line.label for line in panel.lines):
        from matplotlib.transforms import ScaledTranslation  # noqa: PLC0415  the extra

        # Below the axes and their title, however small its own length makes the axes: there it hides nothing.
        figure = axes.get_figure(root=True)
        assert figure is not None
        below = ScaledTranslation(0, -LEGEND_BELOW_IN, figure.dpi_scale_trans)
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(-0.01, 0),
            bbox_transform=axes.transAxes + below,
            ncols=LEGEND_COLUMNS,
            fontsize=8.5,
            handlelength=2.4,
            columnspacing=1.4,
        )


def draw_bars(bars: Sequence[Bar], axes: "Axes") -> None:
    highest = max(bar.value.high for bar in bars) or 1.0
    for place, bar in enumerate(bars):
        axes.barh(place, bar.value.median, height=0.62, color=COLORS[bar.color % len(COLORS)])
        if bar.value.runs > 1:
            axes.plot([bar.value.low, bar.value.high], [place, place], color=INK, linewidth=1.2, solid_capstyle="butt")
        end = max(bar.value.high, bar.value.median)
        axes.text(end + highest * 0.015, place, bar.text, va="center", color=INK, fontsize=9.5)
    axes.set_yticks(range(len(bars)), [bar.label for bar in bars])
    axes.set_ylim(len(bars) - 0.45, -0.55)
    axes.set_xlim(0, highest * 1.16)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    # The value stands at the end of its bar.
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)


def draw_line(line: Line, axes: "Axes") -> None:
    color = COLORS[line.color % len(COLORS)]
    xs = [point.x for point in line.points]
    ys = [point.y for point in line.points]
    lows, highs = [point.low for point in line.points], [point.high for point in line.points]
    style = "--" if line.dashed else "-"
    if line.raw:
        axes.plot(
            xs,
            ys,
            style,
            color=color,
            linewidth=1.6,
            label=line.label or None,
            marker=MARKERS[line.color % len(MARKERS)],
            markersize=4,
            markevery=(0.1 + line.color * 0.015, 0.2),
        )
        if lows != highs:
            axes.fill_between(xs, lows, highs, color=color, alpha=0.15, linewidth=0)
        return
    below, above = [y - low for y, low in zip(ys, lows, strict=True)], [h - y for y, h in zip(ys, highs, strict=True)]
    axes.errorbar(
        xs,
        ys,
        yerr=[below, above],
        fmt=style,
        color=color,
        linewidth=1.6,
        elinewidth=1.1,
        capsize=2.5,
        label=line.label or None,
        marker=MARKERS[line.color % len(MARKERS)],
        markersize=5,
        markerfacecolor="white" if line.dashed else color,
    )


# Axes.


def set_scales(panel: Panel, axes: "Axes") -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator  # noqa: PLC0415  the extra

    places = sorted({point.x for line in panel.lines for point in line.points})
    if panel.x_scale is Scale.LOG:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(thinned(places)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.margins(x=0.06)
    if panel.x_scale is Scale.NINES:
        last = places[-1] if places else 0.0
        axes.xaxis.set_major_locator(FixedLocator([-log10(0.5), *range(1, int(last + 0.01) + 1)]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda nines, _: percent_at(nines)))
        axes.set_xlim(0, max(1.0, last) * 1.02)
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: grouped(value)))
    if panel.y_scale is Scale.LOG:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: grouped(value)))


def set_limits(panel: Panel, axes: "Axes") -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator  # noqa: PLC0415  the extra

    if panel.y_scale is Scale.LINEAR:
        if panel.from_zero:
            axes.set_ylim(bottom=0, top=axes.get_ylim()[1] * 1.05)
        return
    low, high = axes.get_ylim()
    if high / low < 100:
        # Of a decade or two, the powers of ten are too few labels.
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: grouped(value)))


def thinned(places: Sequence[float]) -> list[float]:
    """Those that have room for their label on a logarithmic axis, from the last one down."""
    kept: list[float] = []
    for place in reversed(places):
        if place > 0 and (not kept or kept[-1] / place >= 1.3):
            kept.append(place)
    return kept[::-1]


def percent_at(nines: float) -> str:
    share = 100 * (1 - 10**-nines)
    return f"{share:.{max(0, round(nines) - 2)}f} %"


def grouped(value: float) -> str:
    """A number for an axis."""
    return written(value) if abs(value) >= 1000 else f"{value:g}"

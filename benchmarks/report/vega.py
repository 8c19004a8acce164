"""Panels of a chart in Vega-Lite; vl-convert makes SVG and PNG from them without a browser.

The rule: a drawing is the same each time, byte for byte, and lines differ in more than their color.

vl-convert, of the extra `bench`, is imported at the first drawing.
"""

import importlib.util
from collections.abc import Iterable, Sequence
from math import log10
from typing import Any, TypeAlias

import click

from ..terminal import short
from .results import Range

Spec: TypeAlias = dict[str, Any]  # a Vega-Lite specification
Point: TypeAlias = tuple[float, Range]  # the position on the axis, and the figure

# Okabe and Ito's colors, which are safe for color blindness, in an order with distinct neighbours; and twins for a dark
# page with the same contrast.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555", "#a6761d")
DARK_COLORS = ("#5aa9e6", "#f08a4b", "#3cc7a0", "#e3a3c6", "#f2b84b", "#8fd0f5", "#a9b2bf", "#c9a15b")
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "stroke")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [10, 4], [4, 2], [1, 3], [6, 2, 2, 2])
INK, FAINT, GRID, EDGE, PAPER = "#222222", "#767676", "#e4e4e4", "#9a9a9a", "#ffffff"
DARK_OF = dict(zip((*COLORS, INK, FAINT, GRID, EDGE, PAPER), (*DARK_COLORS, "#e3e8f0", "#97a3b4", "#242d3a", "#4a5666", "#151b24"), strict=True))  # fmt: skip  # noqa: E501
LINES_MAX = len(COLORS)


class NothingToDrawWith(click.ClickException):
    def __init__(self) -> None:
        super().__init__("drawing needs vl-convert: pip install 'perdure[bench]'")


def demand_vl_convert() -> None:
    """Check before the runs that drawing will work.

    Raises:
        NothingToDrawWith: The package vl-convert is not installed.
    """
    if importlib.util.find_spec("vl_convert") is None:
        raise NothingToDrawWith


def svg_of(panels: Sequence[Spec], name: str) -> str:
    import vl_convert  # noqa: PLC0415  the extra

    svg: str = vl_convert.vegalite_to_svg(together(panels))
    return svg.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)


def png_of(panels: Sequence[Spec], title: str) -> bytes:
    import vl_convert  # noqa: PLC0415  the extra

    png: bytes = vl_convert.vegalite_to_png(together(panels) | {"title": title}, scale=2)
    return png


def together(panels: Sequence[Spec]) -> Spec:
    resolve = {"scale": dict.fromkeys(("x", "y", "color", "shape", "strokeDash"), "independent")}
    return {"concat": list(panels), "columns": 2, "resolve": resolve, "config": CONFIG, "spacing": 40}


def line(label: str, color: int, points: Iterable[Point], *, dashed: bool = False) -> list[Spec]:
    """The points of a line. Lines of one color belong together; the dashed one is the second."""
    return [
        {"x": x, "y": at.median, "low": at.low, "high": at.high, "line": label, "color": color, "dashed": dashed}
        for x, at in sorted(points, key=lambda point: point[0])
    ]


GROUPED = "replace(format(datum.value, ',.6~g'), /,/g, ' ')"
NINES = "datum.value < 0.5 ? '50 %' : replace(format(100 * (1 - pow(10, -datum.value)), '.6~f'), /$/, ' %')"
CONFIG: Spec = {
    "background": PAPER,
    "font": "DejaVu Sans, Verdana, sans-serif",
    "view": {"stroke": None},
    "title": {"anchor": "start", "fontSize": 13, "color": INK, "offset": 10},
    "axis": {"labelColor": FAINT, "titleColor": FAINT, "gridColor": GRID, "domainColor": EDGE, "tickColor": EDGE,
             "titleFontWeight": "normal", "labelFontSize": 11, "titleFontSize": 11},
    "legend": {"labelColor": INK, "title": None, "orient": "bottom", "columns": 2, "labelFontSize": 11,
               "symbolStrokeWidth": 2, "labelLimit": 400},
}  # fmt: skip


def bar_panel(title: str, ways: Sequence[tuple[str, int, Range]]) -> Spec:
    """A bar for each way, with the range of its runs and its value."""
    rows = [
        {"way": label, "color": COLORS[color % LINES_MAX], "value": at.median, "low": at.low, "high": at.high,
         "text": short(at.median)}
        for label, color, at in ways
    ]  # fmt: skip
    top = max(at.high for _, _, at in ways) or 1.0
    x = {"field": "value", "type": "quantitative", "axis": None, "scale": {"domain": [0, top * 1.2]}}
    y = {"field": "way", "type": "nominal", "sort": None, "title": None,
         "axis": {"labelColor": INK, "ticks": False, "domain": False, "labelLimit": 260}}  # fmt: skip
    color = {"field": "color", "type": "nominal", "scale": None}
    layer: list[Spec] = [
        {"mark": {"type": "bar", "height": 16}, "encoding": {"x": x, "color": color}},
        {"mark": {"type": "text", "align": "left", "dx": 5, "color": INK, "fontSize": 11},
         "encoding": {"x": x | {"field": "high"}, "text": {"field": "text"}}},
    ]  # fmt: skip
    if any(at.runs > 1 for _, _, at in ways):
        mark = {"type": "rule", "color": INK, "strokeWidth": 1.2}
        layer.append({"mark": mark, "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}}})
    size: Spec = {"width": 300, "height": {"step": 26}}
    return {"title": title, "data": {"values": rows}, **size, "encoding": {"y": y}, "layer": layer}


def panel(
    title: str,
    x_title: str,
    rows: Sequence[Spec],
    *,
    x: str = "linear",
    y: str = "linear",
    raw: bool = False,
    diagonal: bool = False,
) -> Spec:
    """A panel with lines.

    Args:
        rows: Of `line`.
        x: The scale: linear, log, or nines, with equal distances between 50, 90, 99 and 99.9 %.
        y: linear, from zero, or log.
        raw: Draw many points as a curve, and ranges as a band.
        diagonal: Draw the line of equal values, for axes with the same unit.
    """
    places = sorted({row["x"] for row in rows})
    labels = list(dict.fromkeys(row["line"] for row in rows))
    firsts = [next(row for row in rows if row["line"] == label) for label in labels]
    legend = {} if any(labels) else {"legend": None}

    def told_apart(name: str, values: Sequence[Any]) -> Spec:
        return {name: {"field": "line", "type": "nominal", "scale": {"domain": labels, "range": values}, **legend}}

    colors = told_apart("color", [COLORS[row["color"] % LINES_MAX] for row in firsts])
    dashes = told_apart("strokeDash", [DASHES[row["color"] % LINES_MAX if raw else row["dashed"]] for row in firsts])
    shapes = told_apart("shape", [SHAPES[row["color"] % LINES_MAX] for row in firsts])
    y_scale = {"type": y, "zero": y == "linear", "nice": y == "linear"}
    encoding: Spec = {
        "x": {"field": "x", "type": "quantitative", "title": x_title, "scale": x_scale(x), "axis": x_axis(x, places)},
        "y": {"field": "y", "type": "quantitative", "title": None, "scale": y_scale,
              "axis": {"labelExpr": GROUPED, "tickCount": 5}},
    }  # fmt: skip
    layer: list[Spec] = []
    if diagonal:
        asked = {"values": [{"x": place, "y": place} for place in places]}
        layer.append({"data": asked, "mark": {"type": "line", "color": EDGE, "strokeWidth": 1}})
    if any(row["low"] != row["high"] for row in rows):
        kind = {"type": "area", "opacity": 0.15} if raw else {"type": "rule", "strokeWidth": 1.2}
        spread = {"y": encoding["y"] | {"field": "low"}, "y2": {"field": "high"}}
        layer.append({"mark": kind, "encoding": spread | colors})
    layer.append({"mark": {"type": "line", "strokeWidth": 1.8}, "encoding": colors | dashes})
    if not raw:
        layer.append({"mark": {"type": "point", "filled": True, "size": 45, "opacity": 1}, "encoding": colors | shapes})
    size = {"width": 300, "height": 200}
    return {"title": title, "data": {"values": list(rows)}, **size, "encoding": encoding, "layer": layer}


def x_scale(kind: str) -> Spec:
    return {"type": "log" if kind == "log" else "linear", "zero": kind == "nines", "nice": kind == "linear"}


def x_axis(kind: str, places: Sequence[float]) -> Spec:
    if kind == "nines":
        nines = [log10(2), *range(1, int((places[-1] if places else 0.0) + 0.01) + 1)]
        return {"values": nines, "labelExpr": NINES}
    return {"labelExpr": GROUPED} | ({"values": thinned(places)} if kind == "log" else {"tickCount": 5})


def thinned(places: Sequence[float]) -> list[float]:
    """The positions whose labels fit on a logarithmic axis, from the last one down."""
    kept: list[float] = []
    for place in reversed(places):
        if place > 0 and (not kept or kept[-1] / place >= 1.3):
            kept.append(place)
    return kept[::-1]

"""Drawings: the same bytes for the same figures, and safe inside of a page."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from perdure.benchmarks.report.cases import cases_of
from perdure.benchmarks.report.drawing import (
    COLORS,
    MARKERS,
    NothingToDrawWith,
    demand_matplotlib,
    grouped,
    percent_at,
    svg_of,
    thinned,
    write_png,
)
from perdure.benchmarks.report.plot import Plot
from perdure.benchmarks.report.plots import plots

from ...support.benchmarks.cases import measured
from ...support.benchmarks.results import results


def every_kind() -> list[Plot]:
    return plots(
        cases_of(
            [
                results(
                    measured(units_per_s=9_000.0, p50_ms=2.0, p99_ms=9.0, latencies_us=range(1, 2_000)),
                    measured(units_per_s=9_900.0, p50_ms=3.0, p99_ms=11.0, latencies_us=range(1, 2_000)),
                    measured(in_flight=500, units_per_s=9_500.0, p50_ms=30.0, p99_ms=99.0),
                    measured(rate=100.0, p50_ms=1.0, p99_ms=1.5, instances_per_s=100.0, latencies_us=[5, 9]),
                    measured("W3", series={"at_s": [0.0, 1.0], "rss_mib": [60.0, 61.0]}),
                )
            ]
        )
    )


def test_every_kind_of_plot_becomes_an_element_of_the_page() -> None:
    found = every_kind()
    assert len(found) >= 5
    for plot in found:
        svg = svg_of(plot)
        root = ElementTree.fromstring(svg)  # noqa: S314  our own
        assert root.tag.endswith("svg")
        # Text stays text, so that it can be found and read out.
        texts = " ".join(root.itertext())
        assert all(panel.title in texts for panel in plot.panels)


def test_drawings_do_not_share_ids() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', svg_of(plot))) for plot in every_kind()]
    for position, these in enumerate(ids):
        for others in ids[position + 1 :]:
            assert not these & others


def test_what_a_drawing_refers_to_is_inside_of_it() -> None:
    for plot in every_kind():
        svg = svg_of(plot)
        referred = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
        assert referred <= set(re.findall(r' id="([^"]+)"', svg))


def test_the_same_figures_make_the_same_bytes(tmp_path: Path) -> None:
    plot = every_kind()[0]
    assert svg_of(plot) == svg_of(plot)
    first = write_png(plot, tmp_path).read_bytes()
    assert write_png(plot, tmp_path).read_bytes() == first
    assert first.startswith(b"\x89PNG")


def test_lines_are_told_apart_by_more_than_color() -> None:
    assert len(set(MARKERS)) >= len(COLORS)


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NothingToDrawWith, match=r"pip install 'perdure\[bench\]'"):
        demand_matplotlib()


def test_matplotlib_is_imported_only_to_draw() -> None:
    program = "import sys, perdure.benchmarks.cli; print('matplotlib' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert output == "False\n"


def test_labels_of_an_axis_do_not_collide() -> None:
    assert thinned([1.0, 2.0, 50.0, 51.0, 500.0]) == [1.0, 2.0, 51.0, 500.0]
    assert thinned([0.0]) == []


def test_percentiles_have_as_many_digits_as_they_need() -> None:
    assert [percent_at(nines) for nines in (0.30103, 1, 2, 3, 4)] == ["50 %", "90 %", "99 %", "99.9 %", "99.99 %"]


def test_numbers_of_an_axis_are_grouped() -> None:
    assert [grouped(value) for value in (0.05, 10.0, 12_000.0)] == ["0.05", "10", "12 000"]

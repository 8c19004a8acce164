"""Drawings: the same bytes for the same figures, and safe inside of a page."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from perdure.benchmarks.report import vega
from perdure.benchmarks.report.charts import Chart, charts
from perdure.benchmarks.report.results import cases_of

from ...support.benchmarks.results import measured, results


@pytest.fixture(scope="module")
def every_kind() -> list[Chart]:
    latencies_us = range(1, 2_000)
    found = [
        measured(units_per_s=9_000.0, p50_ms=2.0, p99_ms=9.0, latencies_us=latencies_us),
        measured(units_per_s=9_900.0, p50_ms=3.0, p99_ms=11.0, latencies_us=latencies_us),
        measured(in_flight=500, units_per_s=9_500.0, p50_ms=30.0, p99_ms=99.0),
        measured(rate=100.0, p50_ms=1.0, p99_ms=1.5, instances_per_s=100.0, latencies_us=[5, 9]),
        measured("W3", series={"at_s": [0.0, 1.0], "rss_mib": [60.0, 61.0]}),
    ]
    return charts(cases_of([results(*found)]))


def test_every_kind_of_chart_becomes_an_element_of_the_page(every_kind: list[Chart]) -> None:
    assert len(every_kind) >= 5
    for chart in every_kind:
        svg = chart.svg()
        root = ElementTree.fromstring(svg)  # noqa: S314  our own
        assert root.tag.endswith("svg")
        # Text stays text, so that it can be found and read out.
        texts = " ".join(root.itertext())
        assert all(panel["title"] in texts for panel in chart.panels)
        # Two drawings on a page share no identifier.
        assert not re.findall(r'\bid="|url\(|href="', svg)
        # Each color has a dark twin.
        drawn = {color.lower() for color in re.findall(r'(?:fill|stroke)="(#\w+|\w+)"', svg)}
        assert drawn <= {*vega.DARK_OF, "none", "white", "transparent"}, drawn


def test_the_same_figures_make_the_same_bytes(every_kind: list[Chart], tmp_path: Path) -> None:
    chart = every_kind[0]
    assert chart.svg() == chart.svg()
    first = chart.write_png(tmp_path).read_bytes()
    assert chart.write_png(tmp_path).read_bytes() == first
    assert first.startswith(b"\x89PNG")


def test_lines_are_told_apart_by_more_than_color() -> None:
    assert len(set(vega.SHAPES)) == len(vega.COLORS) == len({tuple(dash) for dash in vega.DASHES})


def test_without_vl_convert_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(vega.NothingToDrawWith, match=r"pip install 'perdure\[bench\]'"):
        vega.demand_vl_convert()


def test_what_draws_is_imported_only_to_draw() -> None:
    program = "import sys, perdure.benchmarks.cli; print({'vl_convert', 'rich'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert output == "set()\n"


def test_labels_of_an_axis_do_not_collide() -> None:
    assert vega.thinned([1.0, 2.0, 50.0, 51.0, 500.0]) == [1.0, 2.0, 51.0, 500.0]
    assert vega.thinned([0.0]) == []

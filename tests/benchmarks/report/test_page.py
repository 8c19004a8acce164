"""The page is complete in one file, with all measured figures and the commands to measure them again."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from perdure.benchmarks.report import charts
from perdure.benchmarks.report.machine import MachineLoad
from perdure.benchmarks.report.page import page

from ...support.benchmarks.results import MACHINE, measured, results


class Tags(HTMLParser):
    """Checks that each opened tag is closed."""

    VOID = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the drawings, which take longest, and which most of the tests do not read."""
    monkeypatch.setattr(charts, "svg_of", lambda panels, name: "<svg></svg>")


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


RUNS = (
    measured(units_per_s=7_000.0, p50_ms=20.0, cpu_ms_per_unit=0.1, latencies_us=range(1, 99)),
    measured(units_per_s=7_500.0, p50_ms=22.0, cpu_ms_per_unit=0.1, latencies_us=range(1, 99)),
    measured("W3", units_per_s=900.0, p50_ms=1.5),
)
PAIR = tuple(measured(driver=name, units_per_s=rate) for name, rate in (("process", 16_000.0), ("restate", 1_000.0)))


@pytest.fixture(scope="module")
def drawn_page() -> str:
    return page([results(*RUNS), results(*PAIR)])


def test_the_page_requests_nothing_and_is_well_formed(drawn_page: str) -> None:
    assert "<script" not in drawn_page
    assert not re.findall(r'(?:src|href)="(?!#)', drawn_page)
    assert not re.findall(r"url\((?!#)|@import", drawn_page)
    tags = Tags()
    tags.feed(drawn_page)
    assert tags.open == []


@pytest.mark.usefixtures("_undrawn")
def test_a_table_has_medians_and_ranges_and_the_command_beneath() -> None:
    html = page([results(*RUNS)])
    assert "7 250 steps 7 000 to 7 500" in text_of(html)
    command = "perdure bench --workload W1 --driver process --in-flight 50 --seconds 4 --durability full --repeat 2"
    assert command in text_of(html)
    # Every drawing and every table has the command that measured it.
    assert html.count("<summary>how it was measured</summary>") == html.count("<figure>") + html.count("<h3>") + 1


@pytest.mark.usefixtures("_undrawn")
def test_marks_and_ratios_of_all_documents_stand_together() -> None:
    # Given a pair of runs in each of two documents,
    html = page([results(*PAIR), results(PAIR[0], measured(driver="restate", units_per_s=500.0))])
    # then each is compared with its own neighbour.
    text = text_of(html)
    assert "W1 chain: times as fast process Restate 24.0 16.0 to 32.0 2" in text
    assert "W1 chain, process times as fast beside Restate at least 15 24.0 16.0 to 32.0 ✓ reached" in text
    assert "W1 chain, process steps a second at least 20 000 16 000 16 000 to 16 000 ✗ missed" in text
    assert not re.findall("Side by side|<h2>Marks", page([results(measured(units_per_s=1.0, seconds=0.3))]))


@pytest.mark.usefixtures("_undrawn")
def test_what_another_wrote_is_text_and_no_markup() -> None:
    html = page([replace(results(*RUNS), machine=replace(MACHINE, processor='<b>fast</b> & "cheap"'))])
    assert "<b>fast" not in html
    assert "&lt;b&gt;fast&lt;/b&gt; &amp;" in html


@pytest.mark.usefixtures("_undrawn")
def test_every_machine_is_named_and_what_it_did_during_the_runs() -> None:
    # Given two runs on a machine with other load, and one on another machine,
    loads = (MachineLoad(busy=0.5, ready=2.0), MachineLoad(busy=0.9, ready=6.0))
    busy = [replace(run, machine_load=load) for run, load in zip(RUNS, loads, strict=False)]
    other = replace(results(RUNS[0]), machine=replace(MACHINE, processor="another processor", cores=64))
    text = text_of(page([results(*busy), other]))
    # then each is named, with how busy it was, if that is known.
    assert "another processor" in text
    assert "process, machine 2" in text
    assert "70 % 50 to 90 4.0 2.0 to 6.0" in text


def test_it_is_dark_where_its_reader_is_and_so_are_its_drawings(drawn_page: str) -> None:
    style = drawn_page.partition("</style>")[0]
    assert "color-scheme: dark" in style
    svg = "".join(re.findall(r"<svg.*?</svg>", drawn_page, re.DOTALL))
    for color in {color.lower() for color in re.findall(r'(?:fill|stroke)="(#\w+)"', svg)}:
        assert f'[fill="{color}" i]' in style

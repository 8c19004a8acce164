"""The page: whole in itself, with everything that was measured and how to measure it again."""

import re
from dataclasses import replace
from html.parser import HTMLParser

from perdure.benchmarks.report.machine_load import MachineLoad
from perdure.benchmarks.report.page import page

from ...support.benchmarks.cases import measured, with_options
from ...support.benchmarks.results import MACHINE, on_processes, results


class Tags(HTMLParser):
    """Sees that what is opened is closed."""

    VOID = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def text_of(html: str) -> str:
    return re.sub(r"<[^>]+>", " ", html)


RUNS = (
    measured(units_per_s=7_000.0, p50_ms=20.0, cpu_ms_per_unit=0.1, latencies_us=range(1, 99)),
    measured(units_per_s=7_500.0, p50_ms=22.0, cpu_ms_per_unit=0.1, latencies_us=range(1, 99)),
    measured("W3", in_flight=1, units_per_s=900.0, p50_ms=1.5),
)


def test_it_asks_nobody_for_anything() -> None:
    html = page([results(*RUNS)])
    assert "<script" not in html
    assert not re.findall(r'(?:src|href)="(?!#)', html)
    assert not re.findall(r"url\((?!#)|@import", html)


def test_it_is_well_formed() -> None:
    tags = Tags()
    tags.feed(page([results(*RUNS)]))
    assert tags.open == []


def test_a_table_has_medians_and_ranges_and_the_command_beneath() -> None:
    html = page([results(*RUNS)])
    text = " ".join(text_of(html).split())
    assert "7 250 steps 7 000 to 7 500" in text
    assert (
        "perdure bench --workload W1 --driver process --in-flight 50 --seconds 4 --durability full --repeat 2" in text
    )
    # Every drawing and every table says how it was measured.
    assert html.count("<summary>how it was measured</summary>") == html.count("<figure>") + html.count("<h3>") + 1


def test_marks_are_said_to_be_reached_or_missed() -> None:
    missed = " ".join(text_of(page([results(measured(units_per_s=1.0))])).split())
    assert "✗ missed" in missed
    assert "✓ reached" not in missed
    assert "✓ reached" in page([results(measured(units_per_s=1e9))])
    assert "<h2>Marks</h2>" not in page([results(with_options(RUNS[0], seconds=0.3))])


def test_how_many_times_as_fast_it_was_stands_beside_the_mark() -> None:
    found = [
        measured(driver=driver, units_per_s=rate) for driver, rate in (("process", 16_000.0), ("restate", 1_000.0))
    ]
    # Given a pair of runs in each of two documents,
    html = page([results(*found), results(*found[:1], measured(driver="restate", units_per_s=500.0))])
    # then each is compared with its own neighbour.
    text = " ".join(text_of(html).split())
    assert "W1 chain process Restate 2 24.0 16.0 to 32.0 at least 15 ✓ reached" in text
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert "Beside other engines" not in page([results(*found[:1])])


def test_what_another_wrote_is_text_and_no_markup() -> None:
    html = page([replace(results(*RUNS), machine=replace(MACHINE, processor='<b>fast</b> & "cheap"'))])
    assert "<b>fast" not in html
    assert "&lt;b&gt;fast&lt;/b&gt; &amp;" in html


def test_every_machine_is_named() -> None:
    other = replace(results(RUNS[0]), machine=replace(MACHINE, processor="another processor", cores=64))
    text = text_of(page([results(*RUNS), other]))
    assert "another processor" in text
    assert "process, machine 2" in text


def test_only_one_process_is_compared_with_other_engines() -> None:
    # Given a pair of runs with a mark, and one by two processes, for which no marks hold,
    pair = [measured(driver=name, units_per_s=rate) for name, rate in (("process", 16_000.0), ("restate", 1_000.0))]
    html = page([results(*pair, on_processes(2, measured(units_per_s=32_000.0)))])
    # then the pair is judged, and the other has its row.
    text = " ".join(text_of(html).split())
    assert "W1 chain process Restate 1 16.0 at least 15 ✓ reached" in text
    assert "W1 chain process x2" in text
    assert "--processes 2" in text


def test_what_the_machine_did_during_the_runs_stands_beside_it() -> None:
    # Given two runs on a machine that was busy with more than them,
    loads = (MachineLoad(busy=0.5, ready=2.0), MachineLoad(busy=0.9, ready=6.0))
    found = [replace(run, machine_load=load) for run, load in zip(RUNS, loads, strict=False)]
    # when the page is written, then it says how busy the machine was.
    text = " ".join(text_of(page([results(*found)])).split())
    assert "70 % 50 to 90 %" in text
    assert "4.0 2.0 to 6.0" in text
    # And of documents that do not know it, it says nothing.
    assert "cores busy" in page([results(*RUNS)])


def test_it_is_dark_where_its_reader_is_and_so_are_its_drawings() -> None:
    html = page([results(*RUNS)])
    dark = html.partition("@media (prefers-color-scheme: dark)")[2].partition("</style>")[0]
    drawn = set(re.findall(r"var\((--[\w-]+), #[0-9a-f]{6}\)", html))
    assert {"--paper", "--ink", "--line-0"} <= drawn
    assert all(f"{name}: #" in dark for name in drawn), drawn
    # No drawing has a colour of its own that would not change.
    svg = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert not re.findall(r"(?:fill|stroke): #", svg)

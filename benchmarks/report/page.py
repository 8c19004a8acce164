"""The report as a page: one HTML file, with its charts and tables inside.

The rule: the page asks nobody for anything. It opens without a network, has no script, and says of every table how it
can be measured again.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from statistics import median

from ..terminal import written
from .charts import Chart, charts, names_of
from .ratios import marked, ratios_of
from .results import Case, Results, build_of, cases_of, commands_of
from .tables import SECTIONS, Column, Section, cell, wanted
from .vega import DARK_OF

STYLE = Path(__file__).with_name("page.css")


class Cell(str):
    """HTML of a cell, as it is; other cells are text, and are escaped."""


def write_page(documents: Sequence[Results], path: Path) -> None:
    """Write the report of some documents."""
    path.write_text(page(documents), encoding="utf-8")


def page(documents: Sequence[Results]) -> str:
    cases = cases_of(documents)
    names = names_of(cases)
    parts = [
        heading(documents),
        *marks(cases, names),
        *ratios(documents),
        *(drawing(chart) for chart in charts(cases)),
        "<h2>All figures</h2>",
        *(figures(section, cases, names) for section in SECTIONS),
        machines(documents),
    ]
    title = "Perdure: what was measured"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE.read_text()}{dark_charts()}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, parts))
        + "\n</main>\n</body>\n</html>\n"
    )


def dark_charts() -> str:
    """Rules that give each color of a chart its dark twin, where the reader's system is dark."""
    rules = (
        f'svg [{what}="{light}" i] {{ {what}: {dark}; }}'
        for light, dark in (*DARK_OF.items(), ("white", DARK_OF["#ffffff"]))
        for what in ("fill", "stroke")
    )
    return "@media (prefers-color-scheme: dark) {\n" + "\n".join(rules) + "\n}\n"


def heading(documents: Sequence[Results]) -> str:
    runs = sum(len(document.results) for document in documents)
    began = ", ".join(sorted({document.began_at[:10] for document in documents}))
    builds = "".join(f"<p>{escape(build)}</p>" for build in dict.fromkeys(str(each.machine) for each in documents))
    durabilities = " and ".join(sorted({result.run.durability for each in documents for result in each.results}))
    return (
        f"<header><h1>Perdure: what was measured</h1>{builds}"
        f"<p>{runs} runs, {escape(began)}; durability {escape(durabilities)}</p></header>"
    )


def marks(cases: Sequence[Case], names: dict[int, str]) -> Iterator[str]:
    """What should be reached, and whether it was."""
    rows = [
        (f"{case.title}, {names[id(case)]}", mark.what, wanted(mark), written(found, mark.digits), verdict(reached))
        for case in cases
        for mark, found, reached in case.marks()
    ]
    if rows:
        having = [case for case in cases if list(case.marks())]
        yield f"<section><h2>Marks</h2>{table(('', '', 'mark', 'median', ''), rows, 2)}{commands(having)}</section>"


def ratios(documents: Sequence[Results]) -> Iterator[str]:
    """How many times as fast one way was as another, or what it cost beside it."""
    found = ratios_of(documents)
    judged = {id(one): (str(mark), verdict(reached)) for one, mark, reached in marked(found)}
    rows = [
        (
            *(one.ours.title, one.ours.driver_title, one.theirs.driver_title, one.what, str(len(one.values))),
            number(one.values, 2 if one.range.median < 10 else 1),
            *judged.get(id(one), ("", "")),
        )
        for one in found
    ]
    if rows:
        heads = ("", "", "", "", "pairs", "ratio", "mark", "")
        yield (
            "<section><h2>Side by side</h2><p class=note>Run beside run: medians of the pairs, with their range.</p>"
            f"{table(heads, rows, 4)}</section>"
        )


def drawing(chart: Chart) -> str:
    return (
        f"<section><h2>{escape(chart.title)}</h2><p class=note>{escape(chart.note)}</p>"
        f"<figure>{chart.svg()}</figure>{commands(chart.cases)}</section>"
    )


def figures(section: Section, cases: Sequence[Case], names: dict[int, str]) -> str:
    """A table of the terminal, with the range of each figure."""
    chosen = [case for case in cases if case.run.variant.shape in section.shapes]
    if not chosen:
        return ""
    rows = [
        (case.title, names[id(case)], load(case), str(len(case.outcomes)), *(figure(case, c) for c in section.columns))
        for case in chosen
    ]
    heads = ("", "", "load", "runs", *(column.title for column in section.columns))
    return f"<section><h3>{escape(section.title)}</h3>{table(heads, rows, 2)}{commands(chosen)}</section>"


def load(case: Case) -> str:
    """How much was put onto the engine: instances in flight, or arriving."""
    return f"{case.run.in_flight}" if case.run.rate is None else f"{case.run.rate:g}/s"


def figure(case: Case, column: Column) -> str:
    """A median, and small beneath it the lowest and the highest of the runs."""
    shown = escape(cell(case, column))
    found = case.figure(column.figure) if case.has(column.figure) else None
    if found is None or found.runs == 1:
        return Cell(shown)
    return Cell(f"{shown}<small>{written(found.low, column.digits)} to {written(found.high, column.digits)}</small>")


def number(values: Sequence[float], digits: int, unit: str = "") -> Cell:
    """A median, and small beneath it the lowest and the highest."""
    low, high = min(values), max(values)
    beneath = f"<small>{written(low, digits)} to {written(high, digits)}{unit}</small>" if len(values) > 1 else ""
    return Cell(f"{written(median(values), digits)}{unit}{beneath}")


def verdict(reached: bool) -> Cell:
    return Cell(f"<span class={'reached' if reached else 'missed'}>{'✓ reached' if reached else '✗ missed'}</span>")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], texts: int) -> str:
    """A table of HTML, whose first columns are of words and whose others are of numbers."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if place >= texts else ''}>{each if isinstance(each, Cell) else escape(each)}</{tag}>"
            for place, each in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', heads)}</tr></thead><tbody>{body}</tbody></table>"


def commands(cases: Sequence[Case]) -> str:
    """How to measure the same again, and on which builds it was."""
    lines = "\n".join(commands_of(cases))
    builds = "; ".join(dict.fromkeys(f"Perdure {build_of(case.machine)} cores" for case in cases))
    durabilities = ", ".join(dict.fromkeys(f"durability {case.run.durability}" for case in cases))
    return (
        f"<details><summary>how it was measured</summary><pre>{escape(lines)}</pre>"
        f"<p class=note>{escape(builds)}; {escape(durabilities)}</p></details>"
    )


def machines(documents: Sequence[Results]) -> str:
    rows = []
    for each in documents:
        loads = [result.machine_load for result in each.results if result.machine_load is not None]
        busy = number([load.busy * 100 for load in loads], 0, " %") if loads else "-"
        ready = number([load.ready for load in loads], 1) if loads else "-"
        rows.append(
            (each.began_at, str(each.machine), each.machine.sqlite, f"{each.machine.flush_ms:.2f}", busy, ready)
        )
    heads = ("began", "", "SQLite", "4 KiB flushed, ms", "cores busy", "processes ready")
    others = {name: what for document in documents for name, what in document.peers.items()}
    return (
        f"<section><h2>Machines</h2>{table(heads, rows, 3)}<p class=note>Busy cores and ready processes are those of "
        "the whole machine during the runs, the measured ones among them: medians, with the range. A run on a busy "
        "machine shows less than the engine can.</p>"
        + (f"<h3>Other engines</h3>{table(('', ''), list(others.items()), 2)}" if others else "")
        + "</section>"
    )

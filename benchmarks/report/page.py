"""The report as one HTML file with charts and tables.

The rule: the page needs no network and no script, and has the commands that repeat every table.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from .charts import Chart, charts
from .ratios import ratios_of
from .results import Case, Results, build_of, cases_of, commands_of, range_of
from .tables import Amount, Cell, Judgement, Sheet, judgements, ratios_sheet, section_sheets
from .vega import DARK_OF

STYLE = Path(__file__).with_name("page.css")
TITLE = "Perdure: what was measured"
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def write_page(documents: Sequence[Results], path: Path) -> None:
    path.write_text(page(documents), encoding="utf-8")


def page(documents: Sequence[Results]) -> str:
    body = "\n".join(sections(documents, cases_of(documents)))
    return PAGE.format(title=TITLE, style=STYLE.read_text() + dark_charts(), body=body)


def sections(documents: Sequence[Results], cases: Sequence[Case]) -> Iterator[str]:
    ratios = ratios_of(documents)
    yield heading(documents)
    if judged := list(judgements(cases, ratios)):
        yield section("Marks", marks(judged), commands([case for case in cases if case.marks()]))
    if ratios:
        note = noted("Run beside run: medians of the pairs, with their range.")
        yield section("Side by side", note, sheet_table(ratios_sheet(ratios)))
    yield from (drawing(chart) for chart in charts(cases))
    yield "<h2>All figures</h2>"
    for sheet in section_sheets(cases):
        yield section(sheet.title, sheet_table(sheet), commands(sheet.cases), level=3)
    yield section("Machines", *machines(documents))


def section(title: str, *parts: str, level: int = 2) -> str:
    return f"<section><h{level}>{escape(title)}</h{level}>{''.join(parts)}</section>"


def noted(text: str) -> str:
    return f"<p class=note>{escape(text)}</p>"


def dark_charts() -> str:
    """CSS rules that replace each color of a chart by its dark twin on a dark system."""
    rules = (
        f'svg [{what}="{light}" i] {{ {what}: {dark}; }}'
        for light, dark in (*DARK_OF.items(), ("white", DARK_OF["#ffffff"]))
        for what in ("fill", "stroke")
    )
    return "@media (prefers-color-scheme: dark) {\n" + "\n".join(rules) + "\n}\n"


def heading(documents: Sequence[Results]) -> str:
    results = [result for document in documents for result in document.results]
    began = ", ".join(sorted({document.began_at[:10] for document in documents}))
    builds = "".join(f"<p>{escape(build)}</p>" for build in dict.fromkeys(str(each.machine) for each in documents))
    durabilities = " and ".join(sorted({result.run.durability for result in results}))
    about = f"{len(results)} runs, {began}; durability {durabilities}"
    return f"<header><h1>{TITLE}</h1>{builds}<p>{escape(about)}</p></header>"


def marks(judged: Sequence[Judgement]) -> str:
    rows = [(one.name, one.what, str(one.wanted), one.found, one) for one in judged]
    return table(("", "", "mark", "median", ""), rows, texts=2)


def drawing(chart: Chart) -> str:
    return section(chart.title, noted(chart.note), f"<figure>{chart.svg()}</figure>", commands(chart.cases))


def sheet_table(sheet: Sheet) -> str:
    return table(sheet.heads, sheet.rows, sheet.texts)


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell | Judgement]], texts: int) -> str:
    def cells(tag: str, row: Sequence[Cell | Judgement]) -> str:
        classes = (" class=n" if place >= texts else "" for place in range(len(row)))
        return "".join(f"<{tag}{of}>{shown(each)}</{tag}>" for of, each in zip(classes, row, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', heads)}</tr></thead><tbody>{body}</tbody></table>"


def shown(cell: Cell | Judgement) -> str:
    """A cell; a median has the lowest and the highest of the runs below it."""
    if isinstance(cell, Judgement):
        return f"<span class={cell.verdict}>{'✓' if cell.reached else '✗'} {cell.verdict}</span>"
    ends = cell.ends if isinstance(cell, Amount) else ""
    return escape(str(cell)) + (f"<small>{escape(ends)}</small>" if ends else "")


def commands(cases: Sequence[Case]) -> str:
    lines = "\n".join(commands_of(cases))
    builds = "; ".join(dict.fromkeys(f"Perdure {build_of(case.machine)} cores" for case in cases))
    durabilities = ", ".join(dict.fromkeys(f"durability {case.run.durability}" for case in cases))
    return (
        f"<details><summary>how it was measured</summary><pre>{escape(lines)}</pre>"
        f"{noted(f'{builds}; {durabilities}')}</details>"
    )


def machines(documents: Sequence[Results]) -> Iterator[str]:
    rows: list[Sequence[Cell]] = []
    for each in documents:
        loads = [result.machine_load for result in each.results if result.machine_load is not None]
        busy = Amount(range_of([load.busy * 100 for load in loads]), unit=" %") if loads else "-"
        ready = Amount(range_of([load.ready for load in loads]), digits=1) if loads else "-"
        flush = f"{each.machine.flush_ms:.2f}"
        rows.append((each.began_at, str(each.machine), each.machine.sqlite, flush, busy, ready))
    yield table(("began", "", "SQLite", "4 KiB flushed, ms", "cores busy", "processes ready"), rows, texts=3)
    yield noted(
        "Busy cores and ready processes are those of the whole machine during the runs, the measured ones among them: "
        "medians, with the range. A run on a busy machine shows less than the engine can."
    )
    others = {name: what for document in documents for name, what in document.peers.items()}
    if others:
        yield f"<h3>Other engines</h3>{table(('', ''), list(others.items()), texts=2)}"

"""The report as a page: one HTML file, with its drawings and tables inside.

The one law: the page asks nobody for anything. It opens without a network, has
no script, and says of every table how it can be measured again.
"""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from statistics import median

from .beside import Times, TimesMark, all_times, marks_of
from .cases import Case, build_of, cases_of, commands_of
from .drawing import DARK, LIGHT, css_of, svg_of
from .plot import Plot
from .plots import names_of, plots, titled
from .results import Results
from .tables import DRIVER_TITLES, SECTIONS, Column, Section, cell, described, wanted, written


def write_page(documents: Sequence[Results], path: Path) -> None:
    """Write the report of some documents."""
    path.write_text(page(documents), encoding="utf-8")


def page(documents: Sequence[Results]) -> str:
    cases = cases_of(documents)
    parts = [
        heading(documents),
        marks(cases),
        ratios(cases, documents),
        *(drawing(plot) for plot in plots(cases)),
        "<h2>All figures</h2>",
        *(tables(cases)),
        machines(documents),
    ]
    return PAGE.format(style=STYLE, title="Perdure: what was measured", body="\n".join(filter(None, parts)))


def heading(documents: Sequence[Results]) -> str:
    runs = sum(len(document.results) for document in documents)
    began = ", ".join(sorted({document.began_at[:10] for document in documents}))
    builds = list(dict.fromkeys(described(document.machine) for document in documents))
    durabilities = sorted({result.run.durability for document in documents for result in document.results})
    lines = "".join(f"<p>{escape(build)}</p>" for build in builds)
    return (
        "<header><h1>Perdure: what was measured</h1>"
        f"{lines}<p>{runs} runs, {escape(began)}; durability {escape(' and '.join(durabilities))}</p></header>"
    )


def marks(cases: Sequence[Case]) -> str:
    """What should be reached, and whether it was."""
    names = names_of(cases)
    rows = [
        (
            f"{titled(case)}, {names[id(case)]}",
            mark.what,
            wanted(mark),
            written(case.row().figures[mark.figure], mark.digits),
            reached,
        )
        for case in cases
        for mark, reached in case.row().marks()
    ]
    if not rows:
        return ""
    lines = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(what)}</td><td class=n>{escape(aim)}</td><td class=n>{found}</td>"
        f"{verdict(reached)}</tr>"
        for name, what, aim, found, reached in rows
    )
    return (
        "<section><h2>Marks</h2><table><thead><tr><th></th><th></th><th class=n>mark</th><th class=n>median</th>"
        f"<th></th></tr></thead><tbody>{lines}</tbody></table>{commands([c for c in cases if list(c.row().marks())])}"
        "</section>"
    )


def ratios(cases: Sequence[Case], documents: Sequence[Results]) -> str:
    """How many times as fast as other engines it was."""
    comparable = [case for case in cases if case.rate is None and case.run.processes == 1]
    workloads = {(case.run.workload, case.run.in_flight): case.workload for case in comparable}
    found = all_times(list(workloads.values()), documents)
    if not found:
        return ""
    judged = {id(one): (mark, reached) for one, mark, reached in marks_of(found)}
    lines = "".join(ratio(one, *judged.get(id(one), (None, False))) for one in found)
    return (
        "<section><h2>Beside other engines</h2><p class=note>How many times as fast Perdure was, run beside run: "
        "medians of the pairs, with their range.</p><table><thead><tr><th></th><th></th><th></th><th class=n>pairs</th>"
        f"<th class=n>times</th><th class=n>mark</th><th></th></tr></thead><tbody>{lines}</tbody></table></section>"
    )


def ratio(one: Times, mark: TimesMark | None, reached: bool) -> str:
    low, high = min(one.ratios), max(one.ratios)
    beneath = f"<small>{written(low, 1)} to {written(high, 1)}</small>" if len(one.ratios) > 1 else ""
    judged = "<td></td><td></td>" if mark is None else f"<td class=n>at least {mark.at_least:g}</td>{verdict(reached)}"
    return (
        f"<tr><td>{escape(one.workload.name)} {escape(one.workload.title)}</td>"
        f"<td>{escape(DRIVER_TITLES[one.driver])}</td><td>{escape(DRIVER_TITLES[one.peer])}</td>"
        f"<td class=n>{len(one.ratios)}</td><td class=n>{written(one.middle, 1)}{beneath}</td>{judged}</tr>"
    )


def verdict(reached: bool) -> str:
    return f"<td class={'reached' if reached else 'missed'}>{'✓ reached' if reached else '✗ missed'}</td>"


def drawing(plot: Plot) -> str:
    return (
        f"<section><h2>{escape(plot.title)}</h2><p class=note>{escape(plot.note)}</p>"
        f"<figure>{svg_of(plot)}</figure>{commands(plot.cases)}</section>"
    )


def tables(cases: Sequence[Case]) -> Iterable[str]:
    """The tables of the terminal, with the range of each figure."""
    names = names_of(cases)
    for section in SECTIONS:
        chosen = [case for case in cases if case.workload.shape in section.shapes]
        if chosen:
            yield table(section, chosen, [names[id(case)] for case in chosen])


def table(section: Section, cases: Sequence[Case], names: Sequence[str]) -> str:
    head = "".join(f"<th class=n>{escape(column.title)}</th>" for column in section.columns)
    lines = "".join(
        f"<tr><td>{escape(titled(case))}</td><td>{escape(name)}</td><td class=n>{load(case)}</td>"
        f"<td class=n>{len(case.outcomes)}</td>{''.join(figure(case, column) for column in section.columns)}</tr>"
        for case, name in zip(cases, names, strict=True)
    )
    return (
        f"<section><h3>{escape(section.title)}</h3><table><thead><tr><th></th><th></th><th class=n>load</th>"
        f"<th class=n>runs</th>{head}</tr></thead><tbody>{lines}</tbody></table>{commands(cases)}</section>"
    )


def load(case: Case) -> str:
    """How much was put onto the engine: instances in flight, or arriving."""
    return f"{case.run.in_flight}" if case.rate is None else f"{case.rate:g}/s"


def figure(case: Case, column: Column) -> str:
    """A median, and small beneath it the lowest and the highest of the runs."""
    row = case.row()
    if column.figure not in row.figures:
        return "<td class=n>-</td>"
    found = case.figure(column.figure)
    beneath = ""
    if found.runs > 1:
        beneath = f"<small>{written(found.low, column.digits)} to {written(found.high, column.digits)}</small>"
    return f"<td class=n>{escape(cell(row, column))}{beneath}</td>"


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
    lines = "".join(
        f"<tr><td>{escape(document.began_at)}</td><td>{escape(described(document.machine))}</td>"
        f"<td>{escape(document.machine.sqlite)}</td><td class=n>{document.machine.flush_ms:.2f}</td>"
        f"{load_during(document)}</tr>"
        for document in documents
    )
    others = {name: what for document in documents for name, what in document.peers.items()}
    peers = "".join(f"<tr><td>{escape(name)}</td><td>{escape(what)}</td></tr>" for name, what in others.items())
    return (
        "<section><h2>Machines</h2><table><thead><tr><th>began</th><th></th><th>SQLite</th>"
        "<th class=n>4 KiB flushed, ms</th><th class=n>cores busy</th><th class=n>processes ready</th></tr></thead>"
        f"<tbody>{lines}</tbody></table><p class=note>Busy cores and ready processes are those of the whole machine "
        "during the runs, the measured ones among them: medians, with the range. A run on a busy machine shows less "
        "than the engine can.</p>"
        + (f"<h3>Other engines</h3><table><tbody>{peers}</tbody></table>" if peers else "")
        + "</section>"
    )


def load_during(document: Results) -> str:
    """What the machine did during the runs of a document, as two cells."""
    loads = [result.machine_load for result in document.results if result.machine_load is not None]
    if not loads:
        return "<td class=n>-</td><td class=n>-</td>"
    busy = [load.busy * 100 for load in loads]
    ready = [load.ready for load in loads]
    return spread(busy, 0, " %") + spread(ready, 1, "")


def spread(values: Sequence[float], digits: int, unit: str) -> str:
    """A cell with a median, and small beneath it the lowest and the highest."""
    low, high = min(values), max(values)
    beneath = f"<small>{written(low, digits)} to {written(high, digits)}{unit}</small>" if len(values) > 1 else ""
    return f"<td class=n>{written(median(values), digits)}{unit}{beneath}</td>"


PAGE = """<!doctype html>
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

# The colours of the page at /ui/ (http/page/static/styles/base.css); those of the drawings are in drawing.py.
STYLE = (
    """
:root { color-scheme: light;
  --back: #f6f7f9; --panel: #fff; --sunk: #eef0f4; --text: #1a212c; --quiet: #5a6474; --line: #e1e5eb;
  --accent: #3457c8; --good: #1c7a4a; --bad: #bf2434; """
    + css_of(LIGHT)
    + """ }
@media (prefers-color-scheme: dark) { :root { color-scheme: dark;
  --back: #0e1218; --panel: #151b24; --sunk: #0a0e13; --text: #e3e8f0; --quiet: #97a3b4; --line: #242d3a;
  --accent: #7f9df5; --good: #5cc98d; --bad: #ff8791; """
    + css_of(DARK)
    + """ } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text);
  font: 14px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
main { max-width: 66rem; margin: 0 auto; padding: 2rem 1.5rem 4rem; }
header { margin-bottom: 1.6rem; }
h1 { font-size: 1.5rem; font-weight: 680; letter-spacing: -.02em; margin: 0 0 .4rem; }
h2 { font-size: 1.05rem; font-weight: 650; letter-spacing: -.01em; margin: 0 0 .2rem; }
h3 { font-size: .95rem; font-weight: 650; margin: 0 0 .2rem; }
main > h2 { margin: 2.2rem 0 .8rem; }
header p { margin: 0; color: var(--quiet); }
section { overflow-x: auto; margin: 0 0 1rem; padding: 1rem 1.2rem; border: 1px solid var(--line); border-radius: 10px;
  background: var(--panel); box-shadow: 0 1px 2px rgb(20 30 50 / 6%); }
section h3:not(:first-child) { margin-top: 1.4rem; }
.note { color: var(--quiet); font-size: .87rem; margin: .1rem 0 .6rem; max-width: 48rem; }
figure { margin: 0; }
figure svg { max-width: 100%; height: auto; display: block; }
table { border-collapse: collapse; font-size: .85rem; margin: .5rem 0; }
th { font-weight: 550; font-size: .8rem; color: var(--quiet); text-align: left; vertical-align: bottom;
  white-space: pre-line; }
th, td { padding: .35rem .8rem .35rem 0; }
td { border-top: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
.n { text-align: right; padding-left: .5rem; }
td small { display: block; color: var(--quiet); font-size: .75rem; line-height: 1.2; }
.reached { color: var(--good); }
.missed { color: var(--bad); font-weight: 650; }
details { font-size: .85rem; margin: .3rem 0 0; }
summary { color: var(--quiet); cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
pre { background: var(--sunk); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem;
  overflow-x: auto; margin: .4rem 0; font: .8rem/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
@media print { details { display: block; } main { max-width: none; padding: 0; }
  section { break-inside: avoid; box-shadow: none; } }
"""
)

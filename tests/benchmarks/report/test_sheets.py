"""Sheets: what stands in the tables of the terminal and of the page."""

from perdure.benchmarks.report.ratios import ratios_of
from perdure.benchmarks.report.results import Range, cases_of, names_of
from perdure.benchmarks.report.sheets import Amount, Column, columns, judgements, ratios_sheet, section_sheets

from ...support.benchmarks.results import measured, results


def test_an_amount_is_a_median_with_the_ends_of_its_runs() -> None:
    several = Amount(Range(12_345.6, 900.25, 20_000.0, 3), digits=1, unit=" steps")
    assert (str(several), several.ends) == ("12 346 steps", "900.2 to 20 000")
    assert Amount(Range(1.0, 1.0, 1.0, 1)).ends == ""


def test_columns_are_read_line_by_line() -> None:
    text = "due a~second | offered_per_s | 0\nCPU ms | cpu_ms | 3 | ?\n"
    assert columns(text) == (Column("due a\nsecond", "offered_per_s"), Column("CPU ms", "cpu_ms", 3, always=False))


def test_a_section_is_of_its_shapes_and_has_a_spread_if_something_was_run_again() -> None:
    cases = cases_of([results(*(measured(units_per_s=rate) for rate in (90.0, 110.0)), measured("W5"))])
    loops, costs, asleep = section_sheets(cases, names_of(cases))
    assert [str(cell) for cell in loops.rows[0]] == ["W1 chain", "process", "100 steps", "-", "-", "-", "-", "20%"]
    assert (loops.heads[-1], costs.heads[-1], asleep.heads[-1]) == ("spread", "spread", "late\nmax ms")
    assert [case.title for case in asleep.cases] == ["W5 sleep"]


def test_ratios_and_marks_are_of_the_same_pairs() -> None:
    document = results(
        *(measured(driver=name, units_per_s=rate) for name, rate in (("process", 90.0), ("restate", 10)))
    )
    ratios = ratios_of([document])
    assert ratios_sheet(ratios).rows == [("W1 chain: times as fast", "process", "Restate", "9.00", "", "1")]
    assert [(one.wanted, str(one.found), one.verdict) for one in judgements(cases_of([document]), ratios)] == [
        ("at least 20 000", "90", "missed"),
        ("at least 15", "9.00", "missed"),
    ]

"""Tables and numbers: in 80 columns, with spaces between thousands."""

import io

from rich.console import Console

from perdure.benchmarks.terminal import Line, short, table, written


def test_a_table_lets_its_first_column_take_two_lines_and_cuts_nothing_off() -> None:
    out = io.StringIO()
    lines = [Line(("word " * 12, "way", "123 456 789")), Line(("b", "c", "1"), "red", begins_section=True)]
    Console(file=out, width=50).print(table(("what", "", "a second"), lines, title="A title", texts=2))
    text = out.getvalue()
    assert "…" not in text
    assert text.count("word") == 12
    assert text.splitlines()[0].startswith("A title")


def test_numbers_are_grouped_and_short() -> None:
    assert [written(12_345.6), written(0.05, 2)] == ["12 346", "0.05"]
    assert [short(value) for value in (12_345.6, 123.4, 12.34, 0.0512)] == ["12 346", "123", "12.3", "0.0512"]
    assert [short(value, 4) for value in (1_234.5, 999.4)] == ["1 234", "999.4"]

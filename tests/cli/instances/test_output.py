"""Tables, JSON and times as the commands show them."""

import io
import sys
from datetime import UTC, datetime, timedelta

import click
import msgspec
import pytest

from perdure.cli.instances.output import (
    age,
    cell,
    done_line,
    fields,
    lines_of,
    show_ids,
    show_json,
    span,
    table,
    visible,
    write_line,
)

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def test_a_table_has_its_columns_below_each_other_and_no_blanks_at_the_end() -> None:
    assert table(("ID", "NAME"), [("order-17", None), ("x", "Ship")]) == "ID        NAME\norder-17  -\nx         Ship"


def test_a_status_has_a_colour_and_the_columns_stay_where_they_are() -> None:
    shown = table(("STATUS", "ID"), [("FAILED", "x")])
    assert "\x1b[31m" in shown
    assert click.unstyle(shown) == "STATUS  ID\nFAILED  x"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        ("", "-"),
        (msgspec.UNSET, "-"),
        (0, "0"),
        (NOW, "2026-11-26 12:00:00"),
        ("a\x1b[31mb\n", "a\\x1b[31mb\\n"),
        ("ü 日", "ü 日"),
        ("\u202e", "\\u202e"),
    ],
)
def test_a_value_cannot_steer_the_terminal(value: object, shown: str) -> None:
    assert cell(value) == shown


def test_lines_stay_lines() -> None:
    assert lines_of("a\tb\n  c\x07") == "a\\tb\n  c\\x07"
    assert visible("a\nb") == "a\\nb"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0s"), (0, "0s"), (0.25, "0.2s"), (5, "5s"), (65, "1m5s"), (60, "1m"), (3599, "59m"), (3600, "1h"),
        (15_000, "4h10m"), (86_400, "1d"), (90_000, "1d1h"), (86_400 * 30, "30d"),
    ],
)  # fmt: skip
def test_a_length_of_time_has_two_units_at_most(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


def test_an_age_counts_from_now() -> None:
    assert age(NOW - timedelta(minutes=3, seconds=20), NOW) == "3m20s"
    assert age(None, NOW) == "-"


def test_fields_without_a_value_are_left_out() -> None:
    assert fields([("Name", "x"), ("Parent", None), ("Tags", ""), ("Turns", 0)]) == "Name   x\nTurns  0"


def test_json_has_the_fields_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"b": "ü", "a": NOW})
    assert capsys.readouterr().out == '{\n  "b": "ü",\n  "a": "2026-11-26T12:00:00Z"\n}\n'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("strange", ["\x1b[31mred", "\x1b[2J", "\u202eabc", "a\tb", "\x9b31m"])
def test_an_id_is_whole_for_another_command_and_cannot_steer_a_terminal(
    strange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {}
    for output in (io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stdout", output)
        show_ids([strange])
        write_line(done_line("ids", "", {"id": strange}))
        said[output.isatty()] = output.getvalue()
    assert said == {False: f"{strange}\n" * 2, True: f"{visible(strange)}\n" * 2}

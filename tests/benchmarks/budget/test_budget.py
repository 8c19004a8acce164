"""The budget: the allowed costs of the engine, checked on every run of the tests."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from perdure.benchmarks.budget import budget
from perdure.benchmarks.budget.counts import CountedLoad, count_all

from ...support.paths import ROOT


def found(**counts: int) -> CountedLoad:
    usual = {"turns": 12, "batches": 3, "commits": 3, "runs_in_a_commit_max": 1, "rows_insert_log": 12}
    return CountedLoad(name="chain", what="a chain", unit="step", units=10, counts=usual | counts)


def test_the_engine_keeps_within_its_budget(tmp_path: Path) -> None:
    wrong = budget.failures(budget.read_budget(ROOT / budget.DEFAULT_PATH), count_all(tmp_path))
    assert not wrong, "\n".join((*wrong, "If this is intended: perdure bench gate --accept"))


@pytest.mark.parametrize(
    ("count", "accepted", "now", "verdict"),
    [
        ("rows_insert_actors", 11, 12, "rose"),
        ("rows_insert_actors", 12, 11, "fell"),
        ("rows_insert_actors", 12, 12, "as accepted"),
        ("rows_insert_actors", 7, None, "fell"),  # it is not counted any more
        ("rows_insert_actors", None, 12, "new"),
        # Figures that depend on the machine have a tolerance.
        ("wal_bytes", 1_000, 1_020, "as accepted"),
        ("wal_bytes", 1_000, 1_021, "rose"),
        ("wal_bytes", 1_000, 500, "fell"),
        ("blocks_retained", 5, 155, "as accepted"),
        ("blocks_retained", 5, 156, "rose"),
    ],
)
def test_the_gate_stops_what_rose_and_what_has_no_budget(
    count: str, accepted: int | None, now: int | None, verdict: str
) -> None:
    allowed = found().counts | ({} if accepted is None else {count: accepted})
    counted = found(**({} if now is None else {count: now}))
    (told,) = (each for each in budget.compared({"chain": allowed}, [counted]) if each.count == count)
    assert told.verdict == verdict
    stopped = budget.failures({"chain": allowed}, [counted])
    assert [line.startswith(f"chain: {count} ") for line in stopped] == [True] * (verdict in ("rose", "new"))


def test_the_gate_says_what_rose_and_what_it_is_for_each_unit() -> None:
    allowed = {"chain": {**found().counts, "batches": 4, "rows_insert_log": 11}}
    assert budget.failures(allowed, [found(commits=2, wal_bytes=5)]) == [
        "chain: rows_insert_log rose from 11 to 12 (1.2 a step; a chain)",
        "chain: wal_bytes is 5 (0.5 a step) and has no budget yet",
    ]


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({"commits": 4}, "chain: 4 flushes for 3 groups; at most one is allowed"),
        ({"rows_insert_log": 13}, "chain: 13 rows of history for 12 turns; at most one is allowed"),
        (
            {"runs_in_a_commit_max": 2},
            "chain: a transaction that comes back to a table which it has already written in the same way; "
            "at most one is allowed",
        ),
    ],
)
def test_limits_hold_whatever_was_accepted(counts: dict[str, int], sentence: str) -> None:
    beyond = found(**counts)
    assert list(budget.beyond_limits([beyond])) == [sentence]
    assert budget.failures({"chain": beyond.counts}, [beyond]) == [sentence]


def test_what_was_accepted_is_the_budget(tmp_path: Path) -> None:
    counted = found(wal_bytes=1_000)
    budget.write_budget(tmp_path / "budget.toml", [counted])
    assert budget.read_budget(tmp_path / "budget.toml") == {"chain": counted.counts}
    assert not budget.failures(budget.read_budget(tmp_path / "budget.toml"), [counted])


def test_the_table_fits_into_80_columns() -> None:
    out = io.StringIO()
    wide = found(rows_insert_reminders=123_456_789)
    Console(file=out, width=80).print(budget.counts_table(budget.compared({"chain": wide.counts}, [wide])))
    assert "…" not in out.getvalue()
    assert "123,456,789" in out.getvalue()

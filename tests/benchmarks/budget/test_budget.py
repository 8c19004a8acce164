"""The budget: what the engine may cost, held on every run of the tests."""

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


BUDGET = {"chain": found(wal_bytes=1_000, blocks_retained=5).counts}


def test_the_engine_keeps_within_its_budget(tmp_path: Path) -> None:
    wrong = budget.failures(budget.read_budget(ROOT / budget.DEFAULT_PATH), count_all(tmp_path))
    assert not wrong, "\n".join((*wrong, "If that is meant: perdure bench gate --accept"))


def test_one_row_more_is_too_much() -> None:
    (line,) = budget.failures({"chain": {**BUDGET["chain"], "rows_insert_log": 11}}, [found(wal_bytes=1_000)])
    assert line == "chain: rows_insert_log rose from 11 to 12 (1.2 a step; a chain)"


@pytest.mark.parametrize(
    ("count", "value", "passes"),
    [
        ("wal_bytes", 1_020, True),
        ("wal_bytes", 1_021, False),
        ("blocks_retained", 155, True),
        ("blocks_retained", 156, False),
        ("commits", 4, False),
    ],
)
def test_what_depends_on_the_machine_has_a_tolerance(count: str, value: int, passes: bool) -> None:
    counted = found(**{"wal_bytes": 1_000, "blocks_retained": 5, "batches": 4, count: value})
    rose = [
        each.count
        for each in budget.compared(BUDGET, [counted])
        if each.verdict is budget.BudgetVerdict.ROSE and each.count == count
    ]
    assert (not rose) is passes


def test_a_count_that_fell_passes_and_is_said() -> None:
    fallen = found(turns=12, wal_bytes=500, blocks_retained=5)
    assert not budget.failures(BUDGET, [fallen])
    assert [each.count for each in budget.compared(BUDGET, [fallen]) if each.verdict is budget.BudgetVerdict.FELL] == [
        "wal_bytes"
    ]


def test_what_is_not_counted_any_more_has_fallen_to_nothing() -> None:
    (gone,) = (
        each for each in budget.compared({"chain": {"rows_delete_log": 7}}, [found()]) if each.accepted is not None
    )
    assert (gone.found, gone.verdict) == (0, budget.BudgetVerdict.FELL)


def test_a_count_without_a_budget_does_not_pass() -> None:
    assert "chain: turns is 12 (1.2 a step) and has no budget yet" in budget.failures({}, [found()])


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

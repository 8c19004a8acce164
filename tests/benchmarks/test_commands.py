"""The commands below `perdure bench`: their output, and their exit codes."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perdure.benchmarks import commands
from perdure.benchmarks.budget.counts import CountedLoad
from perdure.benchmarks.report.results import Result as Measured
from perdure.cli.main import main

from ..support.benchmarks.results import measured, results


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["bench", *arguments])


def counted(rows: int) -> CountedLoad:
    counts = {"turns": 12, "batches": 3, "commits": 3, "runs_in_a_commit_max": 1, "rows_insert_log": rows}
    return CountedLoad("chain", "a chain", "step", 10, counts)


def test_the_gate_takes_what_is_accepted_and_stops_what_rose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given the accepted costs of a load,
    budget = ("--budget", str(tmp_path / "budget.toml"))
    monkeypatch.setattr(commands, "count_all", lambda folder: [counted(10)])
    accepted = bench("gate", *budget, "--accept")
    assert (accepted.exit_code, bench("gate", *budget).exit_code) == (0, 0)
    assert "is written" in accepted.output
    # when it costs more than before,
    monkeypatch.setattr(commands, "count_all", lambda folder: [counted(12)])
    stopped = bench("gate", *budget)
    # then the gate names the figure that rose and the way to accept it.
    assert stopped.exit_code == 1
    assert "chain: rows_insert_log rose from 10 to 12" in stopped.output
    assert "perdure bench gate --accept" in stopped.output


def test_a_gate_without_a_budget_says_how_to_make_one(tmp_path: Path) -> None:
    result = bench("gate", "--budget", str(tmp_path / "budget.toml"))
    assert result.exit_code == 1
    assert "--accept" in result.output


def test_options_of_a_run_are_refused_in_front_of_a_command() -> None:
    result = bench("--quick", "gate")
    assert result.exit_code == 2
    assert "--quick is an option of a run" in result.output


def written(path: Path, *found: Measured) -> str:
    results(*found).write(path)
    return str(path)


def test_a_report_is_a_page_and_a_picture_for_each_drawing(tmp_path: Path) -> None:
    first = written(tmp_path / "a.json", measured(units_per_s=9_000.0))
    second = written(tmp_path / "b.json", measured(units_per_s=8_000.0))
    result = bench("report", first, second, "--html", str(tmp_path / "r.html"), "--png", str(tmp_path / "png"))
    assert result.exit_code == 0, result.output
    assert "8 500 steps" in (tmp_path / "r.html").read_text()
    assert [path.name for path in (tmp_path / "png").iterdir()] == ["throughput.png"]


def test_a_report_must_be_told_what_to_write(tmp_path: Path) -> None:
    result = bench("report", written(tmp_path / "a.json", measured(units_per_s=1.0)))
    assert result.exit_code == 2
    assert "--html" in result.output


def test_a_run_that_cannot_be_drawn_in_the_end_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = bench("--html", str(tmp_path / "r.html"))
    assert result.exit_code == 1
    assert "pip install 'perdure[bench]'" in result.output


@pytest.mark.parametrize("text", ["no JSON", "{}", '{"machine": 1}'])
def test_a_file_that_holds_no_results_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    result = bench("report", str(tmp_path / "a.json"), "--html", str(tmp_path / "r.html"))
    assert result.exit_code == 1
    assert "holds no results" in result.output


def test_two_documents_are_compared_figure_by_figure(tmp_path: Path) -> None:
    before = written(tmp_path / "a.json", *(measured(units_per_s=value) for value in (100.0, 101.0, 102.0)))
    after = written(tmp_path / "b.json", *(measured(units_per_s=value) for value in (80.0, 81.0, 82.0)))
    # Given a figure that fell by a fifth,
    told = bench("compare", before, after)
    assert told.exit_code == 0
    assert "0.80" in told.output
    assert "0 better, 1 worse" in told.output
    # the command fails if less is allowed, and passes if more is.
    stopped = bench("compare", before, after, "--fail-above", "10")
    assert stopped.exit_code == 1
    assert "units_per_s is worse by 20 %" in stopped.output
    assert bench("compare", before, after, "--fail-above", "25").exit_code == 0
    assert bench("compare", after, before, "--fail-above", "10").exit_code == 0


def test_single_runs_cannot_fail_a_comparison_and_so_it_is_refused(tmp_path: Path) -> None:
    one = written(tmp_path / "a.json", measured(units_per_s=100.0))
    result = bench("compare", one, one, "--fail-above", "10")
    assert result.exit_code == 2
    assert "needs several runs" in result.output


def test_documents_with_nothing_in_common_are_refused(tmp_path: Path) -> None:
    first = written(tmp_path / "a.json", measured(units_per_s=1.0))
    second = written(tmp_path / "b.json", measured("W3", units_per_s=1.0))
    result = bench("compare", first, second)
    assert result.exit_code == 1
    assert "nothing in common" in result.output

"""The commands below `perdure bench`: what they say, and how they end."""

from pathlib import Path

from click.testing import CliRunner, Result

from perdure.cli.main import main


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["bench", *arguments])


def test_the_gate_takes_what_is_accepted_and_stops_what_rose(tmp_path: Path) -> None:
    # Given what the engine costs now, accepted,
    path = tmp_path / "budget.toml"
    accepted = bench("gate", "--budget", str(path), "--accept")
    assert accepted.exit_code == 0, accepted.output
    assert "is written" in accepted.output
    # when less is allowed than before,
    text = path.read_text()
    assert "rows_insert_log = 1200\n" in text
    path.write_text(text.replace("rows_insert_log = 1200\n", "rows_insert_log = 1000\n"))
    # then the gate says what rose and how it can be accepted.
    stopped = bench("gate", "--budget", str(path))
    assert stopped.exit_code == 1
    assert "chain: rows_insert_log rose from 1,000 to 1,200" in stopped.output
    assert "perdure bench gate --accept" in stopped.output


def test_a_gate_without_a_budget_says_how_to_make_one(tmp_path: Path) -> None:
    result = bench("gate", "--budget", str(tmp_path / "budget.toml"))
    assert result.exit_code == 1
    assert "--accept" in result.output


def test_options_of_a_run_are_refused_in_front_of_a_command() -> None:
    result = bench("--quick", "gate")
    assert result.exit_code == 2
    assert "--quick is an option of a run" in result.output

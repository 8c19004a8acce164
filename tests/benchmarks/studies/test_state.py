"""`perdure bench state` measures saves and gets, of an engine and of a daemon."""

from pathlib import Path

from click.testing import CliRunner

from perdure.benchmarks.studies.state import state


def test_the_command_shows_both_ways(tmp_path: Path) -> None:
    result = CliRunner().invoke(state, ["--keys", "200", "--data", str(tmp_path)], env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output
    for what in ("saves, in process", "gets, in process", "saves, over HTTP", "gets, over HTTP"):
        assert what in result.output
    assert list(tmp_path.iterdir()) == []

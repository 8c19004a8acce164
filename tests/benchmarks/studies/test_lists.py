"""`perdure bench lists` sends each request that has a mark, and reports its time."""

from pathlib import Path

import anyio
from click.testing import CliRunner

from perdure.benchmarks.studies.lists import COMBINED, SINGLE, lists, measure_lists
from perdure.benchmarks.studies.many_instances import write_instances


def test_everything_with_a_mark_is_measured(tmp_path: Path) -> None:
    write_instances(tmp_path / "many.db", 1_000)
    timed = anyio.run(measure_lists, tmp_path / "many.db")
    assert len(timed) == 2 + len(SINGLE) + 2 * len(COMBINED)
    assert all(0 < each.median <= each.slowest for each in timed)


def test_the_command_shows_a_table_and_the_memory(tmp_path: Path) -> None:
    result = CliRunner().invoke(lists, ["--instances", "1000", "--data", str(tmp_path)], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    assert "count by status, name and root" in result.output
    assert "MiB more than before" in result.output
    assert list(tmp_path.iterdir()) == []

"""The help of `perdure bench` and its list of commands, without the import of any."""

import click
import pytest
from click.testing import CliRunner, Result

from perdure.benchmarks import cli
from perdure.benchmarks.workloads.table import WORKLOADS
from perdure.cli.main import main


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["bench", *arguments])


def test_help_lists_the_workloads() -> None:
    output = bench("--help").output
    for workload in WORKLOADS:
        assert f"{workload.name}  {workload.title}: {workload.what}" in output


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_list_of_commands_has_the_first_line_of_each_help(name: str) -> None:
    command = cli.bench.get_command(click.Context(cli.bench), name)
    assert command is not None
    assert command.get_short_help_str(limit=200) == cli.COMMANDS[name][1]


def test_an_unknown_command_below_it_is_a_usage_error() -> None:
    result = bench("walk")
    assert result.exit_code == 2
    assert "walk" in result.output

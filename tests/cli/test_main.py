"""The command lists its subcommands, and imports little for its help."""

import subprocess
import sys
from importlib.metadata import version
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

from perdure.__main__ import main as script
from perdure.cli.main import COMMANDS, LazyGroup, main

# Modules that take long to import and that only one command needs.
HEAVY = ("uvicorn", "starlette", "rich", "perdure.benchmarks", "perdure.http", "perdure.cli.run", "perdure.cli.store")


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name, (_, _, line) in COMMANDS.items():
        assert name in result.output
        assert line in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_that_help_shows_is_the_commands_own(name: str) -> None:
    assert isinstance(main, LazyGroup)
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(limit=200) == COMMANDS[name][2]


def test_the_version_is_the_packages() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.output == f"perdure {version('perdure')}\n"


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["walk"])
    assert result.exit_code == 2
    assert "walk" in result.output


def test_help_imports_nothing_that_only_a_command_needs() -> None:
    program = (
        "import sys; from perdure.cli.main import main; main(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    imported = output.splitlines()[-1].split()
    assert not set(HEAVY) & set(imported)


# The largest number of modules of the package that the help of a command imports. `run` and its like have the flags of
# a
# daemon's configuration.
MODULES_MAX = {"run": 85, "daprd": 85, "store": 85, "bench": 65}
OF_OTHERS = 45  # the commands on a daemon, which have no engine and no client
ENGINE = ("perdure.runtime.engine", "perdure.actors.hosting.host", "perdure.runtime.activities.workshop")
LATER = (*ENGINE, "perdure.http.app", "perdure.client.remote_client", "asyncio", "httpx2", "grpc", "rich")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_imports_what_its_options_need_and_no_more(name: str) -> None:
    program = (
        "import sys; from perdure.cli.main import main; "
        f"main([{name!r}, '--help'], standalone_mode=False); print(*sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    imported = set(output.splitlines()[-1].split())
    assert imported.isdisjoint(LATER)
    ours = [module for module in imported if module.partition(".")[0] == "perdure"]
    assert len(ours) <= MODULES_MAX.get(name, OF_OTHERS)


def test_the_module_is_the_command_too() -> None:
    output = subprocess.run(
        [sys.executable, "-m", "perdure", "--help"], check=True, capture_output=True, text=True
    ).stdout
    assert output.startswith("Usage: perdure ")


def test_ctrl_c_while_a_command_is_imported_ends_it_as_a_shell_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LazyGroup, "get_command", interrupted)
    result = CliRunner().invoke(main, ["ls"])
    assert (result.exit_code, result.output) == (130, "")


def test_ctrl_c_before_the_first_line_has_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(ModuleType):
        def __getattr__(self, name: str) -> None:
            raise KeyboardInterrupt if name == "main" else AttributeError(name)

    monkeypatch.setitem(sys.modules, "perdure.cli.main", Interrupted("perdure.cli.main"))
    with pytest.raises(SystemExit) as ended:
        script()
    assert ended.value.code == 130

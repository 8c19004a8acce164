"""The reference of the commands is up to date."""

from perdure.cli.instances.reference import reference
from perdure.cli.main import COMMANDS, SECTIONS

from ...support.paths import ROOT


def test_the_page_is_that_of_the_commands() -> None:
    page = (ROOT / "docs/reference/commands.md").read_text()
    assert page == reference(), "python -m perdure.cli.instances.reference > docs/reference/commands.md"


def test_every_command_on_instances_is_there_and_every_command_is_in_one_section() -> None:
    page = reference()
    for name, (module, _, _) in COMMANDS.items():
        assert (f"### perdure {name}\n" in page) is module.startswith(".instances.")
    assert sorted(name for names in SECTIONS.values() for name in names.split()) == sorted(COMMANDS)

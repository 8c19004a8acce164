"""The kinds of world: what a world consists of, beside its seed."""

from collections.abc import Iterator
from contextlib import contextmanager

from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.machines.sqlite_file import SqliteFile

from .scenario import Scenario

KINDS = ("plain", "clock", "sqlite")


@contextmanager
def scenario_of(kind: str, choices: Choices) -> Iterator[Scenario]:
    """Make a world of a kind, for as long as the block lasts."""
    if kind == "sqlite":
        with SqliteFile() as file:
            yield Scenario(choices, store=file.store)
    else:
        assert kind in KINDS, kind
        yield Scenario(choices, clock_is_set=kind == "clock")

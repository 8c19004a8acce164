"""Durability has the words of the command line, and the strongest is the default."""

import inspect

from perdure.actors.store.durability import Durability
from perdure.actors.store.sqlite.store import SqliteStore


def test_full_durability_is_the_default_and_the_names_are_those_of_the_command_line() -> None:
    assert inspect.signature(SqliteStore).parameters["durability"].default is Durability.FULL
    assert {durability.value for durability in Durability} == {"full", "relaxed"}

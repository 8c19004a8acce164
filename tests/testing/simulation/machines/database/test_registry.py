"""The stand-in for a PostgreSQL server knows every statement of the store, or says why it does not."""

import ast
from collections.abc import Iterator
from pathlib import Path

from perdure.actors.store.postgres import store
from perdure.testing.simulation.machines.database.statements.registry import FUNCTIONS, LACKING

# Those that begin and end a transaction, which a session does by itself.
OF_SESSIONS = {"begin reading", "end reading"}


def statements() -> Iterator[tuple[str, str]]:
    """The names of all statements of the store on PostgreSQL, each with the file that has it."""
    folder = Path(store.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Statement":
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{path.name}, line {node.lineno}: a statement has a plain name"
                yield str(name.value), path.name


def test_the_stand_in_knows_every_statement_of_the_store_or_says_why_not() -> None:
    named = {name for name, _ in statements()}
    known = FUNCTIONS.keys() | LACKING.keys() | OF_SESSIONS
    assert not named - known, "give it a function in testing/simulation/machines/database/statements"
    assert not known - named - {"together"}, "no statement of the store has this name any more"
    assert not FUNCTIONS.keys() & LACKING.keys()

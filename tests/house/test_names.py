"""Names: a public class has a name of its own, and a dotted name in a string or a document is that of something there.

A second class of the same name sends the reader to the wrong file. A dotted name of a module that has moved is worse:
a test which asserts that this module is not loaded passes for ever.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from ..support.paths import ROOT
from ..support.source import modules, parsed, read, texts

# Dotted names, or beginnings of them, that are no module's.
NOT_OF_MODULES = {
    "perdure.actors.host": "a logger of 0.1.0, which the change log names",
    "perdure.cli.daemon": "another",
    "perdure.db": "the file of the store, unless another is named",
    "perdure.egg": "a folder that setuptools leaves behind",
    "perdure.turn": "an extension module that a test makes up, and attributes of spans",
    "perdure.activity": "the loggers of activities",
    "perdure.attempt": "an attribute of spans",
    "perdure.workflow": "the loggers of workflows, and properties of instances",
}

DOTTED = re.compile(r"(?<![\w./-])perdure(?:\.\w+)+")
THIS = Path(__file__).relative_to(ROOT)


def public_classes(tree: ast.Module) -> set[str]:
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")}


def doubles(classes: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The names that several modules have, each with these modules.

    Args:
        classes: Module to the names of its classes.
    """
    found: dict[str, list[str]] = {}
    for module, names in classes.items():
        for name in names:
            found.setdefault(name, []).append(module)
    return {name: modules for name, modules in found.items() if len(modules) > 1}


def names_of(tree: ast.Module) -> set[str]:
    """All names that a module defines, assigns or imports at its top."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.If):  # what is imported for type checkers is there when it is asked for
            found |= names_of(ast.Module(node.body, []))
        else:
            found |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return found


def strings_of(tree: ast.Module) -> Iterator[str]:
    """Yield all strings of a source: literals, the parts of f-strings between values, docstrings, programs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def dotted_names(strings: Iterable[str]) -> set[str]:
    return {found[0] for string in strings for found in DOTTED.finditer(string)}


def stands_for_something(dotted: str) -> bool:
    """Whether a name is that of a module, a folder, or of something in a module or in the package itself."""
    _, *parts = dotted.split(".")
    there = _modules()
    for length in range(len(parts), 0, -1):
        path = Path(*parts[:length])
        if (module := path.with_suffix(".py")) in there:
            return length == len(parts) or parts[length] in names_of(parsed(module))
        if path in _folders():
            return length == len(parts) or (
                (init := path / "__init__.py") in there and parts[length] in names_of(parsed(init))
            )
    return parts[0] in names_of(parsed(Path("__init__.py")))


@cache
def _modules() -> frozenset[Path]:
    return frozenset(modules())


@cache
def _folders() -> frozenset[Path]:
    return frozenset(folder for module in modules() for folder in module.parents)


def beginning(dotted: str) -> str:
    return ".".join(dotted.split(".")[:2])


@cache
def dotted_names_of_the_repository() -> Mapping[Path, set[str]]:
    return {
        text: dotted_names(strings_of(parsed(text)) if text.suffix == ".py" else [read(text)])
        for text in texts()
        if text != THIS and "perdure." in read(text)
    }


def test_no_public_class_has_the_name_of_another() -> None:
    found = doubles({str(module): public_classes(parsed(module)) for module in modules()})
    assert found == {}


def test_a_dotted_name_is_that_of_a_module_or_of_something_in_one() -> None:
    named = dotted_names_of_the_repository()
    missing = {
        f"{text}: {dotted}"
        for text, names in named.items()
        for dotted in names
        if not {beginning(dotted), dotted} & set(NOT_OF_MODULES) and not stands_for_something(dotted)
    }
    assert not missing, "\n".join(sorted(missing))


def test_the_list_of_names_that_are_no_modules_is_up_to_date() -> None:
    named = {dotted for names in dotted_names_of_the_repository().values() for dotted in names}
    assert not set(NOT_OF_MODULES) - named - set(map(beginning, named)), "nothing has these names any more"
    assert not [name for name in NOT_OF_MODULES if stands_for_something(name)], "these stand for something by now"


def test_a_double_is_found_with_the_modules_that_have_it() -> None:
    trees = {
        "a.py": "class Host: ...\nclass _Private: ...\ndef Peer() -> None: ...",
        "b.py": "class Host: ...\nclass _Private: ...\nclass Peer:\n    class Inner: ...",
        "c.py": "def host() -> None:\n    class Host: ...\nclass Inner: ...",
    }
    classes = {module: public_classes(ast.parse(source)) for module, source in trees.items()}
    assert doubles(classes) == {"Host": ["a.py", "b.py"]}


def test_dotted_names_are_found_in_strings_and_in_programs_in_strings() -> None:
    source = '''
"""As `perdure.one` has it."""
import perdure.code
HEAVY = ("rich", "perdure.two.three")
program = "import perdure.four; from perdure.five import six"
made = f"perdure.seven.{HEAVY} perdure.eight"
others = "perdure", "my.perdure.x", "/tmp/perdure.log", "myperdure.x", "perdure/nine.py", "perdure."
'''
    names = {"one", "two.three", "four", "five", "seven", "eight"}
    assert dotted_names(strings_of(ast.parse(source))) == {f"perdure.{name}" for name in names}


@pytest.mark.parametrize(
    "dotted",
    [
        *("perdure.actors", "perdure.actors.hosting", "perdure.actors.hosting.host"),
        *("perdure.actors.hosting.host.Host", "perdure.daemon.logs.logging.getLogger"),
        *("perdure.App", "perdure.__all__"),
    ],
)
def test_names_of_what_is_there_stand_for_something(dotted: str) -> None:
    assert stands_for_something(dotted)


@pytest.mark.parametrize(
    "dotted",
    [
        *(
            "perdure.absent",
            "perdure.setup",
            "perdure.tests",
            "perdure.actors.absent",
            "perdure.actors.hosting.absent",
            "perdure.actors.Host",
        ),
        *("perdure.actors.hosting.host.Absent", "perdure.Absent"),
    ],
)
def test_names_of_what_is_not_there_stand_for_nothing(dotted: str) -> None:
    assert not stands_for_something(dotted)

"""Every public name of the package says what it is: modules, classes, functions and methods have a docstring.

A method has the docstring of a base class that it overrides, as `inspect.getdoc` and the reference of the documentation
have it; an override of a method of the standard library needs none, because the manual describes it. `PROMISES` has the
classes that keep a Protocol without inheriting from it: their methods have its docstrings.
Benchmarks are left out, and so are overloads and setters, which are part of another definition.
"""

import ast
import builtins
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from ..support.source import imports_of, modules, parsed

# Classes that keep the promises of Protocols, whose docstrings say what their methods do.
PROMISES: dict[str, tuple[str, ...]] = {
    "AnyOrder": ("StepOrder",),
    "AsyncpgDriver": ("DatabaseDriver",),
    "AsyncpgSession": ("DatabaseSession",),
    "Control": ("DaemonControl",),
    "EmbeddedControl": ("DaemonControl",),
    "EmbeddedOperations": ("Operations",),
    "Execution": ("Orders",),
    "AppExecutionMetrics": ("Observer", "ActivityWatch"),
    "LoopClock": ("Clock",),
    "MachineClock": ("Clock",),
    "JoiningMemoryStore": ("FlightBook",),
    "MemoryClusterStore": ("Cluster",),
    "MemoryStore": ("Store",),
    "NoMeter": ("AppMeter",),
    "NotingPostgresStore": ("FlightBook",),
    "PassingStore": ("Store",),
    "PlainReader": ("Reader",),
    "PostgresBeater": ("Beater",),
    "PostgresClusterStore": ("Cluster",),
    "PostgresSource": ("Source",),
    "PostgresStore": ("Store",),
    "PriorityOrder": ("StepOrder",),
    "PrometheusMeter": ("AppMeter",),
    "PydanticReader": ("Reader",),
    "RequestMetrics": ("OperationWatch",),
    "RingPeers": ("AppPeers",),
    "ShortLink": ("MemoryLink",),
    "SimSession": ("DatabaseSession",),
    "SimWorkshop": ("Workshop",),
    "SqliteSource": ("Source",),
    "SqliteStore": ("Store",),
    "StateActorType": ("ActorType",),
    "SystemClock": ("Clock",),
    "SystemWorkshop": ("Workshop",),
    "Unwatched": ("OperationWatch",),
    "VictimOrder": ("StepOrder",),
    "WorkerMark": ("Actor",),
    "WorkerMarkType": ("ActorType",),
    "WorkflowActor": ("Actor",),
    "WorkflowActorType": ("ActorType",),
}

ARGUMENT = re.compile(r"    [\w*]+(?:, [\w*]+)*: \S")  # `name: description`; what goes on stands further in
RULE = re.compile(r"^The rule(?: of its code)?: ", re.MULTILINE)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_every_module_says_what_it_is() -> None:
    assert not [str(module) for module in documented() if not ast.get_docstring(parsed(module))]


def test_every_module_says_which_rule_it_keeps() -> None:
    # A tree of errors is the rule of its module.
    docstrings = {str(module): ast.get_docstring(parsed(module)) or "" for module in documented() if module.parts[1:]}
    assert not [name for name, text in docstrings.items() if not RULE.search(text) and not is_tree(text)]


def is_tree(docstring: str) -> bool:
    return "└──" in docstring or " as a tree." in docstring or "by who can mend it" in docstring


def test_every_public_class_and_function_says_what_it_is() -> None:
    missing = [f"{module}: {name}" for module in documented() for name in undocumented(module)]
    assert not missing, "\n".join(missing)


def test_each_argument_stands_on_a_line_with_its_description() -> None:
    # The reference is made of these lines; strict, so that one that is none of them ends `make docs`.
    wrong = [f"{module}: {line}" for module in documented() for text in texts_of(module) for line in misread(text)]
    assert not wrong, "\n".join(wrong)


def test_a_description_that_goes_on_without_an_indent_is_found() -> None:
    text = "A.\n\nArgs:\n    a: One,\n        and more.\n    *b, c: Two.\n    or three.\n\nReturns:\n    None."
    assert list(misread(text)) == ["    or three."]


@pytest.mark.parametrize("kept", sorted(PROMISES))
def test_a_class_keeps_the_promises_that_stand_for_its_docstrings(kept: str) -> None:
    for protocol in PROMISES[kept]:
        for name in methods_of(protocol):
            assert any(name in members_of(each) for each in ancestors(kept)), f"{kept} has no {protocol}.{name}"


def test_a_promise_is_needed_for_a_docstring() -> None:
    for kept, protocols in PROMISES.items():
        lacking = [name for name, method in methods_of(kept).items() if not ast.get_docstring(method)]
        for protocol in protocols:
            assert set(lacking) & set(methods_of(protocol)), f"{kept} has docstrings for all of {protocol}"


def documented() -> list[Path]:
    return [module for module in modules() if module.parts[0] != "benchmarks"]


def texts_of(module: Path) -> Iterator[str]:
    """The docstrings of a module, its classes and its functions."""
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Module | ast.ClassDef | Function):
            yield ast.get_docstring(node) or ""


def misread(docstring: str) -> Iterator[str]:
    """The lines of the part `Args` that are neither an argument nor go on with one."""
    _, _, part = docstring.partition("Args:\n")
    for line in takewhile(lambda line: not line or line.startswith("    "), part.splitlines()):
        if re.match(r"    \S", line) and not ARGUMENT.match(line):
            yield line


def undocumented(module: Path) -> Iterator[str]:
    """The public names of a module without a docstring, qualified."""
    for node in definitions(parsed(module).body):
        if isinstance(node, ast.ClassDef):
            yield from _undocumented_in(node, "")
        elif not ast.get_docstring(node):
            yield node.name


def _undocumented_in(node: ast.ClassDef, outer: str) -> Iterator[str]:
    name = f"{outer}{node.name}"
    if not ast.get_docstring(node):
        yield name
    for member in definitions(node.body):
        if isinstance(member, ast.ClassDef):
            yield from _undocumented_in(member, f"{name}.")
        elif not ast.get_docstring(member) and (outer or not inherits_docstring(node.name, member.name)):
            yield f"{name}.{member.name}"


def definitions(body: list[ast.stmt]) -> Iterator[ast.ClassDef | Function]:
    """The public classes and functions of a body, those under conditions too."""
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from definitions([*node.body, *node.orelse])
        elif isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_") and not is_partial(node):
            yield node


def is_partial(node: ast.ClassDef | Function) -> bool:
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(each.endswith(("overload", ".setter", ".deleter")) for each in decorators)


def inherits_docstring(class_name: str, method: str) -> bool:
    """Whether a base class, here or of a library, or a Protocol that the class keeps has a docstring for a method."""
    for ancestor in ancestors(class_name):
        for kept in (ancestor, *(each for protocol in PROMISES.get(ancestor, ()) for each in ancestors(protocol))):
            if method in methods_of(kept) and ast.get_docstring(methods_of(kept)[method]):
                return True
        overridden = [getattr(base, method) for base in foreign_bases(ancestor) if hasattr(base, method)]
        if any(inspect.getdoc(each) or is_standard(each) for each in overridden):
            return True
    return False


def is_standard(method: Any) -> bool:
    """Whether a method is of the standard library, whose manual describes it: those of event loops, for one."""
    return str(getattr(method, "__module__", "")).split(".")[0] in sys.stdlib_module_names


@cache
def classes() -> dict[str, tuple[Path, ast.ClassDef]]:
    """The public classes by name: no two have the same (`test_names.py`)."""
    return {
        node.name: (module, node)
        for module in documented()
        for node in definitions(parsed(module).body)
        if isinstance(node, ast.ClassDef)
    }


@cache
def ancestors(class_name: str) -> tuple[str, ...]:
    """A class and its bases that are classes of ours, the nearest first."""
    if class_name not in classes():
        return ()
    _, node = classes()[class_name]
    return (class_name, *(each for base in node.bases for each in ancestors(last_name(base))))


def last_name(base: ast.expr) -> str:
    return re.sub(r"\[.*", "", ast.unparse(base), flags=re.DOTALL).split(".")[-1]


@cache
def methods_of(class_name: str) -> dict[str, Function]:
    _, node = classes()[class_name]
    return {member.name: member for member in definitions(node.body) if not isinstance(member, ast.ClassDef)}


def members_of(class_name: str) -> set[str]:
    """The names that the body of a class binds, and the names that its methods set on `self`."""
    _, node = classes()[class_name]
    names = {each.name for each in node.body if isinstance(each, Function)}
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store):
            names.add(each.attr)
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            names.add(each.id)
    return names


@cache
def foreign_bases(class_name: str) -> tuple[Any, ...]:
    """The bases of a class that are classes of a library, or built in."""
    module, node = classes()[class_name]
    found = []
    for base in node.bases:
        first, *rest = re.sub(r"\[.*", "", ast.unparse(base), flags=re.DOTALL).split(".")
        for _, source, name in imports_of(module):
            if not source.startswith("perdure") and first in (name, source) and last_name(base) not in classes():
                value = getattr(import_module(source), name) if name else import_module(source)
                for attribute in rest:
                    value = getattr(value, attribute)
                found.append(value)
        if hasattr(builtins, first):
            found.append(getattr(builtins, first))
    return tuple(found)

"""Sizes: a class, a module and a folder are each small enough to be held in mind."""

import ast
from collections.abc import Iterable
from pathlib import Path

from ..support.source import entry_of, files, modules, parsed, read

METHODS_MAX = 30
LINES_MAX = 500
ENTRIES_MAX = 16

# Modules with more lines, and why.
LONGER: dict[str, str] = {}
# Folders with more entries, and why.
FULLER: dict[str, str] = {}


def methods_of(tree: ast.Module) -> list[tuple[str, int]]:
    """Name each class of a module, inner ones too, with the number of its methods.

    Properties count; the stubs of overloads do not.
    """
    return [(node.name, sum(map(is_method, node.body))) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def is_method(node: ast.stmt) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return not any(ast.unparse(each) in ("overload", "typing.overload") for each in node.decorator_list)


def entries_of(folder: Path, paths: Iterable[Path]) -> set[str]:
    """Name the modules and the subfolders in a folder.

    Args:
        paths: All files there are.
    """
    found = {path: entry for path in paths if (entry := entry_of(path, folder)) is not None}
    return {entry for path, entry in found.items() if path.suffix == ".py" or path != folder / entry}


def test_no_class_has_too_many_methods() -> None:
    found = [(str(module), *each) for module in modules() for each in methods_of(parsed(module))]
    assert [each for each in found if each[-1] > METHODS_MAX] == []


def test_no_module_has_too_many_lines() -> None:
    longer = {str(module) for module in modules() if len(read(module).splitlines()) > LINES_MAX}
    assert longer - set(LONGER) == set()
    assert set(LONGER) - longer == set(), "these are short enough by now"


def test_no_folder_has_too_many_entries() -> None:
    # The root has the layers, and the files that tools look for there.
    folders = {module.parent for module in modules()} - {Path()}
    there = files()
    fuller = {str(folder) for folder in folders if len(entries_of(folder, there)) > ENTRIES_MAX}
    assert fuller - set(FULLER) == set()
    assert set(FULLER) - fuller == set(), "these have room by now"


def test_methods_are_counted_in_each_class() -> None:
    source = """
from typing import overload
import typing

class Outer:
    kind = "outer"
    @overload
    def get(self, key: str) -> str: ...
    @typing.overload
    def get(self, key: int) -> int: ...
    def get(self, key): return key
    @property
    def value(self) -> int: return 1
    @value.setter
    def value(self, new: int) -> None: ...
    @staticmethod
    async def wait() -> None:
        def inner() -> None: ...
    class Inner:
        def one(self) -> None: ...

def function() -> None:
    class Local:
        def one(self) -> None: ...
        def two(self) -> None: ...
"""
    assert sorted(methods_of(ast.parse(source))) == [("Inner", 1), ("Local", 2), ("Outer", 4)]


def test_the_entries_of_a_folder_are_its_modules_and_its_folders() -> None:
    there = [
        *(Path("a/one.py"), Path("a/two.py"), Path("a/data.toml"), Path("a/b/three.py"), Path("a/b/four.py")),
        *(Path("a/protos/five.proto"), Path("ab/six.py"), Path("seven.py")),
    ]
    assert entries_of(Path("a"), there) == {"one.py", "two.py", "b", "protos"}
    assert entries_of(Path("a/b"), there) == {"three.py", "four.py"}

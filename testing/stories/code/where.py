"""The places of code: which modules are the user's own, and which of their lines has led to a frame.

The rule: the interpreter's modules, installed ones and this package are not the user's own.
"""

import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from ...simulation.loop import HOST, SimLoop

PACKAGE = str(Path(__file__).parents[3]) + os.sep
# The frames below it run the test, and did not lead to a step.
LOOP = SimLoop._run_until.__code__.co_filename


class OwnCode:
    """Distinguishes the user's files from others.

    Attributes:
        foreign: The folders of code that is not the user's own.
    """

    def __init__(self) -> None:
        paths = sysconfig.get_paths()
        self.foreign = tuple({paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")} | {PACKAGE})
        self._known: dict[str, bool] = {}

    def has(self, file: str | None) -> bool:
        """Whether a file is the user's own."""
        if not file:
            return False
        known = self._known.get(file)
        if known is None:
            installed = "site-packages" in file or "dist-packages" in file
            known = not installed and not file.startswith(("<frozen", *self.foreign))
            self._known[file] = known
        return known

    def line(self, frame: FrameType | None) -> str:
        """The innermost line of the user's that has led to a frame, as "shop/bank.py:31"; empty if there is none."""
        while frame is not None and frame.f_code.co_filename != LOOP:
            if self.has(frame.f_code.co_filename):
                return f"{_short(frame.f_code.co_filename)}:{frame.f_lineno}"
            frame = frame.f_back
        return ""


def who_asks(frame: FrameType | None) -> str:
    """Whose code has led to a frame: an activity's, a workflow's or the story's.

    A task that an activity has begun is an activity's.
    """
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(PACKAGE):
            match Path(file).relative_to(PACKAGE).parts[:2]:
                case ("runtime", "activities"):
                    return "an activity"
                case ("runtime", "execution"):
                    return "a workflow"
        frame = frame.f_back
    return "an activity" if HOST.get() else "the story"


def globals_of(functions: Iterable[Callable[..., Any]], own: OwnCode) -> list[dict[str, Any]]:
    """The globals of the modules that functions are in, and of all modules of the user's beside them.

    Beside a module of a package is what lies in the same package or next to it.
    """
    found: dict[int, dict[str, Any]] = {}
    roots = set[str]()
    for function in functions:
        scope = getattr(function, "__globals__", None)
        if scope is None:
            continue
        found[id(scope)] = scope
        if root := _root(scope.get("__name__", ""), scope.get("__file__")):
            roots.add(root)
        for module in scope.get("__perdure_modules__", {}).values():
            found[id(vars(module))] = vars(module)
    for module in _beside(roots, own):
        found[id(vars(module))] = vars(module)
    return list(found.values())


def _beside(roots: set[str], own: OwnCode) -> Iterator[ModuleType]:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and own.has(file) and file.startswith(tuple(roots)) and roots:
            yield module


def _root(name: str, file: str | None) -> str | None:
    """The folder that the first package of a dotted name lies in."""
    if not file:
        return None
    path = Path(file)
    depth = name.count(".") + (path.name == "__init__.py")
    return str(path.parents[min(depth, len(path.parents) - 1)])


def _short(file: str) -> str:
    path = Path(file)
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return file

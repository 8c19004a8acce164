"""Code as it was at a revision of git, imported beside today's.

The rule: neither sees the other. A module of a revision imports modules of that revision, also later, inside a
function; and `sys.modules` is as it was.
"""

import asyncio
import atexit
import builtins
import importlib
import importlib.machinery
import io
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from ....runtime.authoring.app import App
from ...simulation.loop import HOST, SimLoop
from ..errors import SimulationMisuse

# In the globals of each module of a revision: all of them, by name.
MODULES = "__perdure_modules__"


def app_at(revision: str, target: str, *, repository: str | Path | None = None) -> App:
    """The app as it was at a revision, imported beside today's.

    Args:
        revision: Anything that git knows: a tag, a branch, a commit.
        target: Module and name, as "shop.app:app".
        repository: A folder in the clone; that of the code that calls by default.

    Raises:
        SimulationMisuse: There is no such revision, module or app in it; or a story is the first to request it.
    """
    module_name, _, name = str(target).partition(":")
    if not name:
        raise SimulationMisuse(f'app_at takes a module and a name, as "shop.app:app", not {target!r}')
    module = module_at(revision, module_name, repository=repository or _callers_folder())
    app = getattr(module, name, None)
    if not isinstance(app, App):
        raise SimulationMisuse(f"{module_name} at {revision} has no perdure.App with the name {name!r}")
    return app


def module_at(revision: str, name: str, *, repository: str | Path | None = None) -> ModuleType:
    """A module as it was at a revision, for what a test sets in it.

    Args:
        revision: As for `app_at`.
        name: Dotted.
        repository: As for `app_at`.

    Raises:
        SimulationMisuse: There is no such revision, or no such module in it; or a story is the first to request it.
    """
    return _code_of(revision, Path(repository) if repository is not None else _callers_folder()).module(name)


class RevisedCode:
    """The code of a revision.

    Args:
        folder: Its files.
        paths: The folders among them in which modules are looked for.
    """

    def __init__(self, revision: str, folder: Path, paths: list[str]) -> None:
        self._revision = revision
        self._folder = str(folder)
        self._paths = paths
        self._modules: dict[str, ModuleType] = {}
        self._entered = threading.RLock()
        self._depth = 0

    def module(self, name: str) -> ModuleType:
        """A module of it.

        Raises:
            SimulationMisuse: It has no such module, or one that raises an error as it is imported.
        """
        known = self._modules.get(name)
        if known is not None:
            return known
        if not all(part.isidentifier() for part in name.split(".")):
            raise SimulationMisuse(f'{name!r} is no name of a module; write it with dots, as "shop.app"')
        _refuse_in_a_world(f"{name} of {self._revision}")
        with self._inside():
            try:
                module = importlib.import_module(name)
            except (Exception, SystemExit) as error:
                raise SimulationMisuse(
                    f"{name} could not be imported at {self._revision}: {type(error).__name__}: {error}"
                ) from error
        if not (getattr(module, "__file__", None) or "").startswith(self._folder):
            raise SimulationMisuse(f"{name} is not in the repository at {self._revision}")
        return module

    def _import(self, name: str, scope: Any = None, *rest: Any) -> Any:
        """In the place of `__import__` for the modules of this revision."""
        with self._inside():
            return builtins.__import__(name, scope, *rest)

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """Have `sys.modules` hold this revision's modules where it holds today's."""
        with self._entered:
            if self._depth:
                yield
                return
            tops = self._tops()
            today = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in tops}
            path, no_bytecode = list(sys.path), sys.dont_write_bytecode
            for name in today:
                del sys.modules[name]
            sys.modules.update(self._modules)
            sys.path[:0] = self._paths
            sys.dont_write_bytecode = True
            finder = _BuiltinsFinder(
                self._folder, self._paths, {**vars(builtins), "__import__": self._import}, self._modules
            )
            sys.meta_path.insert(0, finder)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                sys.meta_path.remove(finder)
                sys.path[:] = path
                sys.dont_write_bytecode = no_bytecode
                ours = {name for name in sys.modules if name.partition(".")[0] in tops}
                self._modules.update({name: sys.modules.pop(name) for name in ours})
                sys.modules.update(today)
                importlib.invalidate_caches()

    def _tops(self) -> set[str]:
        """The top-level modules and packages that the revision has."""
        found = set[str]()
        for path in map(Path, self._paths):
            if path.is_dir():
                found |= {each.stem for each in path.iterdir() if each.suffix == ".py" or _is_package(each)}
        return found


class _BuiltinsFinder:
    """Finds modules of a revision, and gives them builtins of their own, so that their imports stay in it."""

    def __init__(
        self, folder: str, paths: list[str], given: Mapping[str, Any], modules: Mapping[str, ModuleType]
    ) -> None:
        self._folder = folder
        self._paths = paths
        self._given = given
        self._modules = modules

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        found = importlib.machinery.PathFinder.find_spec(name, path if path is not None else self._paths, target)
        loader: Any = getattr(found, "loader", None)
        origin = getattr(found, "origin", None) or ""
        if found is None or loader is None or not origin.startswith(self._folder):
            return None
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            vars(module)["__builtins__"] = self._given
            vars(module)[MODULES] = self._modules
            execute(module)

        loader.exec_module = exec_module
        return found


def _code_of(revision: str, inside: Path) -> RevisedCode:
    asked = _ASKED.get((revision, inside))
    if asked is None:
        _refuse_in_a_world(f"code of {revision}")
        asked = _ASKED[revision, inside] = _checked_out(revision, inside)
    return asked


# The code that was requested, by the revision's name and a folder of the clone, so that a story never calls git.
_ASKED: dict[tuple[str, Path], RevisedCode] = {}


def _refuse_in_a_world(what: str) -> None:
    """Refuse an import that would make the first world differ from all others, in which the code is there already.

    Raises:
        SimulationMisuse: The caller is a story, or code of a host.
    """
    if HOST.get() or isinstance(asyncio._get_running_loop(), SimLoop):
        raise SimulationMisuse(
            f"{what} cannot be imported in a simulation. Ask for it before, at the top of the test's module: "
            'OLD = app_at("v1.2", "shop.app:app"), and then old = module_at("v1.2", "shop.app")'
        )


def _checked_out(revision: str, inside: Path) -> RevisedCode:
    root = Path(_git(inside, "rev-parse", "--show-toplevel").decode().strip())
    commit = _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", what=revision).decode().strip()
    known = _CHECKED_OUT.get((str(root), commit))
    if known is None:
        # It stays for as long as the process: code of it may import more at any time.
        checked_out = tempfile.TemporaryDirectory(prefix=f"perdure-{commit[:8]}-")
        atexit.register(checked_out.cleanup)  # otherwise Python removes it with a warning
        folder = Path(checked_out.name).resolve()
        with tarfile.open(fileobj=io.BytesIO(_git(root, "archive", "--format=tar", commit))) as archive:
            archive.extractall(folder, filter="data")
        known = _CHECKED_OUT[str(root), commit] = (
            checked_out,
            RevisedCode(revision, folder, _paths(root.resolve(), folder)),
        )
    return known[1]


_CHECKED_OUT: dict[tuple[str, str], tuple["tempfile.TemporaryDirectory[str]", RevisedCode]] = {}


def _paths(root: Path, folder: Path) -> list[str]:
    """Where the revision's modules are looked for: as today's are, as far as that is in the repository."""
    found: list[str] = []
    for entry in (*sys.path, str(root), str(root / "src")):
        path = Path(entry or ".").resolve()
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            there = folder / path.relative_to(root)
            if there.is_dir() and str(there) not in found:
                found.append(str(there))
    return found


def _git(folder: Path, *arguments: str, what: str = "") -> bytes:
    try:
        ran = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607
    except NotADirectoryError as error:
        raise SimulationMisuse(f"{folder} is no folder, so no clone either") from error
    except FileNotFoundError as error:
        if not folder.is_dir():
            raise SimulationMisuse(f"there is no folder {folder}, so no clone in it") from error
        raise SimulationMisuse("app_at needs git, and there is none") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip() or f"there is no revision {what!r}"
        raise SimulationMisuse(f"git {arguments[0]} in {folder}: {said}") from error
    return ran.stdout


def _is_package(path: Path) -> bool:
    return path.is_dir() and path.name.isidentifier() and any(path.glob("*.py"))


def _callers_folder() -> Path:
    """The folder of the code that has requested a revision."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    path = Path(frame.f_code.co_filename).parent
    return path if path.is_dir() else Path.cwd()

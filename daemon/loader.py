"""Finds the app that the command line names.

The rule: an error of the app's own code is shown as its traceback without frames of Perdure. An error in the name is
one sentence. `daemon/serve.py` loads the app.
"""

import importlib
import importlib.util
import os
import sys
import traceback
import warnings
from pathlib import Path
from types import ModuleType
from typing import TypeGuard

from ..actors.plain_file import misfit
from ..runtime.authoring.app import App
from ..runtime.errors import AppError
from .process.early_signals import StopAsked

FILE_BYTES_MAX = 64 * 1024 * 1024  # a larger file does not compile in a reasonable time and memory

OURS = (__file__, "<frozen importlib")  # files whose frames are left out of a traceback


class AppNotFound(AppError):
    """The target is not a file or module with one app; the message says which name to give."""


class ImportFailed(AppError):
    """The app's own code raised while it was imported; the message is its traceback."""


def load_app(target: str) -> App:
    """Import the target and return the app in it.

    Args:
        target: `FILE.py`, `module`, or either with `:name` for one app of several.

    Raises:
        AppNotFound: There is no such file, module or app, or there are several apps and the target names none.
        ImportFailed: The file or module raised while it was imported.
    """
    source, name = split_target(target)
    module = import_file(source) if source.endswith(".py") else import_module(source)
    return pick_app(module, source, name)


def check_target(target: str) -> None:
    """Refuse a target that names no code, before costly imports. No code of the target is run.

    Raises:
        AppNotFound, ImportFailed: As for `load_app`.
    """
    source, _ = split_target(target)
    if not source.endswith(".py"):
        check_module(source)
        return
    path = file_at(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the import gives them
            compile(path.read_bytes(), path, "exec", dont_inherit=True)
    except Exception as error:
        raise ImportFailed(traceback_of(error)) from None


def split_target(target: str) -> tuple[str, str | None]:
    """Split `orders.py:billing` into the file or module and the name of the app; None: the target has no name.

    Raises:
        AppNotFound: It has another form.
    """
    source, colon, name = target.rpartition(":")
    if not colon:
        return target, None
    if not source or not name.isidentifier():
        raise AppNotFound(f"{target!r} is not FILE.py, FILE.py:name, module or module:name.")
    return source, name


def file_at(source: str) -> Path:
    """Return the real path of a file of code.

    Raises:
        AppNotFound: There is no such file, or it is no file of Python code.
    """
    path = Path(os.path.realpath(source))
    if not os.path.lexists(path):
        raise AppNotFound(f"there is no file {path}.")
    if (why := misfit(str(path))) is not None:
        raise AppNotFound(f"{path} cannot be used as an app: {why}")
    if path.suffix != ".py" or path.stat().st_size > FILE_BYTES_MAX:
        raise AppNotFound(f"{path} cannot be used as an app: it is no file of Python code.")
    return path


def import_file(source: str) -> ModuleType:
    """Import a file as a module named like it, with its folder first on the path, as if Python ran it.

    Raises:
        AppNotFound: Another module has its name.
        ImportFailed: Its code has raised an error.
    """
    path = file_at(source)
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known  # another app of the same daemon is in it
    if known is not None:
        raise AppNotFound(
            f"{path.name} cannot be imported, because a module named {path.stem!r} is in use already. Rename the file."
        )
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None, path
    assert spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs, as an import statement does: dataclasses and pydantic resolve annotations with it,
    # and pickle finds classes in it.
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except StopAsked:
        raise
    except BaseException as error:
        sys.modules.pop(path.stem, None)
        raise ImportFailed(traceback_of(error)) from None
    return module


def check_module(name: str) -> None:
    """Refuse a text that is no name of a module, and a module whose package is not found.

    Raises:
        AppNotFound: It is no name of a module, or its package is not found.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise AppNotFound(f"{name!r} is neither a file that ends in .py nor the name of a module.")
    package, here = name.partition(".")[0], str(Path.cwd())
    sys.path.insert(0, here)  # removed again: the engine's imports must not find modules there
    try:
        if package not in sys.modules and importlib.util.find_spec(package) is None:
            raise no_module(package)
    finally:
        sys.path.remove(here)


def no_module(name: str) -> AppNotFound:
    """Return the error for a module that is not found."""
    return AppNotFound(
        f"there is no module {name!r} in {Path.cwd()} or among the installed packages. "
        "A file is named with its ending, as in orders.py."
    )


def import_module(name: str) -> ModuleType:
    """Import a module by its dotted name, from the current folder or wherever Python finds it.

    Raises:
        AppNotFound: There is no such module.
        ImportFailed: Its code has raised an error.
    """
    check_module(name)
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise no_module(error.name) from None
        raise ImportFailed(traceback_of(error)) from None
    except StopAsked:
        raise
    except BaseException as error:
        raise ImportFailed(traceback_of(error)) from None


def pick_app(module: ModuleType, source: str, name: str | None) -> App:
    """Return the app called `name`, or the only app of the module.

    Raises:
        AppNotFound: There is no such app, or there are several and no name.
    """
    if name is not None:
        if not hasattr(module, name):
            raise AppNotFound(f"{source} has no {name!r}. {offer(module, source)}")
        found = getattr(module, name)
        if not is_app(found):
            raise AppNotFound(
                f"{source}:{name} is of type {type(found).__name__}, not a perdure.App. {offer(module, source)}"
            )
        return found
    apps = {id(app): app for app in apps_of(module).values()}
    if len(apps) != 1:
        raise AppNotFound(offer(module, source))
    return apps.popitem()[1]


def apps_of(module: ModuleType) -> dict[str, App]:
    """The apps among the names of a module, by name."""
    return {name: value for name, value in vars(module).items() if is_app(value)}


def is_app(value: object) -> TypeGuard[App]:
    """Whether a value is an app. Its `__class__` is not read: for a lazy object (Django's settings) that may raise."""
    return issubclass(type(value), App)


def offer(module: ModuleType, source: str) -> str:
    """Return a sentence that says which apps of a module can be named."""
    names = sorted(apps_of(module))
    if not names:
        return f'{source} has no perdure.App. Make one at its top level: app = perdure.App("name").'
    return f"{source} has these apps, name one of them: " + ", ".join(f"{source}:{name}" for name in names) + "."


def traceback_of(error: BaseException) -> str:
    """Format a traceback as if Python had run the file, without the frames of this module."""
    report = traceback.TracebackException.from_exception(error)
    seen: traceback.TracebackException | None = report
    while seen is not None:
        seen.stack = traceback.StackSummary.from_list(
            [frame for frame in seen.stack if not frame.filename.startswith(OURS)]
        )
        seen = seen.__cause__ or seen.__context__
    return "".join(report.format()).rstrip()

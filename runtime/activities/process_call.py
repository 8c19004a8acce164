"""Calls of activities in another process.

The rule: only text crosses. The function is named, not pickled, and the other
process imports it by that name; input and output are JSON.

`runtime/activities/worker_process.py` performs what `runtime/activities/process_pool.py` sends it, for activities
with `executor="process"`.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import CoroutineType, ModuleType
from typing import Any, NamedTuple

from ..authoring.context import ActivityContext
from ..authoring.fence import ToAwait, perform
from ..authoring.parameters import parameters_of
from ..history.failure import FailureDetails, failure_of

MAIN = "__mp_main__"  # multiprocessing's name for the main program of another process


class Reference(NamedTuple):
    """The place of a function: its module and its name there."""

    module: str
    qualname: str
    file: str | None  # for a module that was loaded from a file and is not on the path

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "Reference":
        """The place of a function of this process."""
        module = sys.modules.get(function.__module__)
        return cls(function.__module__, function.__qualname__, getattr(module, "__file__", None))


class Outcome(NamedTuple):
    """The outcome of a call: a result as JSON text, or a failure in its packed form."""

    result: str | None
    failure: tuple[Any, ...] | None


def perform_elsewhere(
    reference: Reference,
    call: tuple[Any, ...],
    payload: str | None,
    *,
    find: Callable[[Reference], Callable[..., Any]] | None = None,
) -> Outcome:
    """Find the function in this process and call it. It never raises; errors of the function are failures.

    Args:
        reference: The function.
        call: The fields of ActivityContext, in their order.
        payload: The input, JSON text.
        find: Finds the function; by default its module is imported, if it is not there yet.
    """
    try:
        function = (find or _find)(reference)
        parameters = parameters_of(function, call[3])
    except BaseException as error:  # its module is user code, too
        return Outcome(None, failure_of(error, frames_skipped=1).pack())
    performed = perform(function, parameters, ActivityContext(*call), payload)
    if isinstance(performed, ToAwait):
        if isinstance(performed.value, CoroutineType):
            performed.value.close()
        return Outcome(None, _AWAITABLE.pack())
    failure = performed.failure
    return Outcome(performed.result, failure.pack() if failure is not None else None)


_AWAITABLE = FailureDetails(
    error_type="AppError",
    message="the function returned an awaitable, and there is no event loop in the process of an activity. "
    'Register it without executor="process", or call asyncio.run in it.',
    non_retriable=True,
)


@lru_cache(maxsize=1_000)
def _find(reference: Reference) -> Callable[..., Any]:
    found: Any = _module(reference)
    for part in reference.qualname.split("."):
        found = getattr(found, part)
    function: Callable[..., Any] = found
    return function


def _module(reference: Reference) -> ModuleType:
    if reference.module == "__main__":
        return _main_of_the_daemon(reference.file)
    if reference.module in sys.modules:
        return sys.modules[reference.module]
    try:
        return importlib.import_module(reference.module)
    except ModuleNotFoundError:
        if reference.file is None:
            raise
    file = Path(reference.file)
    sys.path.insert(0, str(file.parent))
    return _loaded(reference.module, file)


def _main_of_the_daemon(file: str | None) -> ModuleType:
    """The program that embeds the engine, imported: the code under `if __name__ == "__main__"` does not run here."""
    if MAIN not in sys.modules:
        if file is None:
            raise ModuleNotFoundError("the main program has no file, so another process cannot import it")
        # Under both names, as multiprocessing does: its classes may be looked for under that of the program.
        sys.modules["__main__"] = _loaded(MAIN, Path(file))
    return sys.modules[MAIN]


def _loaded(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]  # half of a module would be found at the next call
        raise
    return module

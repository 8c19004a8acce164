"""Calls of activities in another process.

The one law: only text crosses. The function is named, not pickled, and the other
process imports it by that name; input and output are JSON.

The activity actors use it for activities with `executor="process"`.
"""

import importlib
import importlib.util
import signal
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from ..authoring.codec import Encoder
from ..authoring.context import ActivityContext
from ..authoring.parameters import parameters_of
from ..history.failure import failure_of


class Reference(NamedTuple):
    """The place of a function: its module and its name there."""

    module: str
    qualname: str
    file: str | None  # for a module that was loaded from a file and is not on the path

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "Reference":
        module = sys.modules.get(function.__module__)
        return cls(function.__module__, function.__qualname__, getattr(module, "__file__", None))


class Outcome(NamedTuple):
    """The outcome of a call: a result as JSON text, or a failure in its packed form."""

    result: str | None
    failure: tuple[Any, ...] | None


def perform_elsewhere(reference: Reference, call: tuple[str, int, str, str], payload: str | None) -> Outcome:
    """Find the function in this process and call it. It never raises; errors of the function are failures.

    Args:
        reference: The function.
        call: The fields of ActivityContext, in their order.
        payload: The input, JSON text.
    """
    # Ctrl-C in a terminal reaches every process of the group; stopping is the daemon's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        function = _find(reference)
        given = parameters_of(function, call[3]).arguments(ActivityContext(*call), payload)
        return Outcome(Encoder().encode(function(*given)), None)
    except BaseException as error:
        return Outcome(None, failure_of(error, frames_skipped=1).pack())


@lru_cache(maxsize=1_000)
def _find(reference: Reference) -> Callable[..., Any]:
    found: Any = _module(reference)
    for part in reference.qualname.split("."):
        found = getattr(found, part)
    function: Callable[..., Any] = found
    return function


def _module(reference: Reference) -> ModuleType:
    if reference.module in sys.modules and reference.module != "__main__":
        return sys.modules[reference.module]
    try:
        return importlib.import_module(reference.module)
    except ModuleNotFoundError:
        if reference.file is None:
            raise
    file = Path(reference.file)
    spec = importlib.util.spec_from_file_location(reference.module, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent))
    sys.modules[reference.module] = module
    spec.loader.exec_module(module)
    return module

"""The fence around a call of user code that takes an input and gives a result.

The rule: a call never raises. If the function, its input's type, its result's type or
its exception does, the outcome is a result as JSON text or a failure. Even
KeyboardInterrupt, SystemExit and a cancellation are failures of the code that raised
them: the daemon's own signals are never raised in user code.

Activities in threads and in other processes are called here. Those on the event
loop are awaited by `runtime/activities/actors.py`, which distinguishes the daemon's own
cancellation from that of the code; workflow code is driven by `runtime/execution/drive.py`.
"""

import inspect
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from ..history.failure import FailureDetails, failure_of
from .codec import Encoder
from .context import ActivityContext
from .parameters import Parameters


class Performed(NamedTuple):
    """The outcome of a call: a result as JSON text, None if it is None, or a failure."""

    result: str | None
    failure: FailureDetails | None


def perform(
    function: Callable[..., Any], parameters: Parameters, context: ActivityContext, payload: str | None
) -> "Performed | ToAwait":
    """Decode the input, call the function, and encode its result.

    Args:
        function: A plain function.
        parameters: Its parameters.
        context: Its first argument.
        payload: Its input, JSON text.

    Returns:
        The outcome; or the awaitable that the function has returned (an `async def` behind a decorator
        that hides it).
    """
    process, code = os.getpid(), 1
    nesting, traced, profiled = sys.getrecursionlimit(), sys.gettrace(), sys.getprofile()
    try:
        value = function(*parameters.arguments(context, payload))
        code = 0
        if inspect.isawaitable(value):
            return ToAwait(value)
        return Performed(Encoder().encode(value), None)
    except BaseException as error:
        return Performed(None, failure_of(error, frames_skipped=1))
    finally:
        if os.getpid() != process:
            # The function has forked, and this is the child process, in which this thread would wait for ever for a
            # call.
            os._exit(code)
        # A recursion limit that the function has lowered holds for all threads; the event loop could fail at any call.
        if sys.getrecursionlimit() < nesting:
            sys.setrecursionlimit(nesting)
        # A trace or profile function that it has left behind would be called for all later code of this thread.
        if sys.gettrace() is not traced:
            sys.settrace(traced)
        if sys.getprofile() is not profiled:
            sys.setprofile(profiled)


class ToAwait(NamedTuple):
    """An awaitable that a plain function has returned in place of its result."""

    value: Awaitable[Any]

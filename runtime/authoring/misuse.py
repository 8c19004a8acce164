"""The texts for misuse: steps of workflow code that replay cannot repeat or the context cannot take, with their remedy.

The rule: a text names the wrong step first, then the way to do it. The errors are made here and raised elsewhere, and
nothing here touches a user's object beyond its type.
"""

import difflib
import inspect
from collections.abc import Iterable
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from ...actors.text import type_name
from ..errors import WorkflowMisuse

AWAIT_ONLY = (
    "Await only what the context gives: ctx.call_activity, ctx.call_child_workflow, ctx.create_timer, "
    "ctx.wait_for_external_event, ctx.when_all and ctx.when_any. Sleep with ctx.create_timer; do I/O in an activity."
)


class NoSuchMember(WorkflowMisuse, AttributeError):
    """Workflow code has asked its context or a task for an attribute that it does not have."""


def no_task(asked: Any) -> WorkflowMisuse:
    """The error for a workflow that awaits or yields anything but a task of its own context."""
    kind = type_name(asked)
    if inspect.iscoroutine(asked):
        asked.close()  # so that Python does not warn of it as well
        return WorkflowMisuse(
            f"a workflow yielded the coroutine of {asked.__qualname__!r}: the function was called instead of handed "
            f"over. Write ctx.call_activity({asked.__name__}, input=...), or ctx.call_child_workflow. {AWAIT_ONLY}"
        )
    return WorkflowMisuse(f"a workflow waited for {kind}, which replay cannot repeat. {AWAIT_ONLY}")


def no_function(verb: str, kind: str, given: Any) -> WorkflowMisuse:
    """The error for a verb that was given neither a function nor a name."""
    if inspect.iscoroutine(given):
        given.close()
        return WorkflowMisuse(
            f"ctx.{verb} was given the coroutine of {given.__qualname__!r}: the {kind} was called instead of handed "
            f"over. Write ctx.{verb}({given.__name__}, input=...)."
        )
    return WorkflowMisuse(
        f"ctx.{verb} takes the {kind} itself or its name, not {type_name(given)}. "
        f"Write ctx.{verb}(my_{kind}, input=...), without calling it."
    )


def no_policy(verb: str, given: Any) -> WorkflowMisuse:
    """The error for a value that is no retry policy."""
    return WorkflowMisuse(
        f"retry_policy of ctx.{verb} takes a perdure.RetryPolicy, not {type_name(given)}. "
        "Write retry_policy=perdure.RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=3)."
    )


def one_list(verb: str) -> WorkflowMisuse:
    """The error for tasks that were not given as one list."""
    return WorkflowMisuse(f"ctx.{verb} takes one list of tasks. Write ctx.{verb}([one, other]), with brackets.")


def no_member(name: str, known: Iterable[str], *, activitys: bool) -> WorkflowMisuse:
    """The error for an attribute that the context does not have.

    Args:
        name: The name of the attribute.
        known: The names that it has.
        activitys: Whether the contexts of activities have it.
    """
    if activitys:
        return NoSuchMember(
            f"ctx.{name} belongs to activities, and this is the context of a workflow: an activity was called as a "
            "function, so that each replay would do its work again. Write await ctx.call_activity(my_activity, "
            "input=...)."
        )
    public = [each for each in known if not each.startswith("_")]
    hint = did_you_mean(name, public) or f" It has {', '.join(public)}."
    return NoSuchMember(f"the context of a workflow has no {name!r}.{hint}")


def called_as_function(name: str) -> WorkflowMisuse:
    """The error for an activity that was called instead of requested."""
    return WorkflowMisuse(
        f"an activity was called as a function: {name!r}. Nothing of it is recorded, so that each replay would do its "
        f"work again. Write await ctx.call_activity({name}, input=...). Code that workflows and activities share "
        "belongs in a function that is no activity."
    )


def not_awaited(did: str) -> WorkflowMisuse:
    """The error for a task that was used as if it were its result."""
    return WorkflowMisuse(
        f"a task was used as if it were its result ({did}): it was not awaited. "
        "Write result = await ctx.call_activity(...), or yield it in a generator."
    )


def interval_of(when: Any, verb: str) -> datetime | timedelta:
    """A date or an interval; a number is seconds.

    Raises:
        WorkflowMisuse: It is none of them, or too long for an interval.
    """
    if isinstance(when, datetime | timedelta):
        return when
    if isinstance(when, int | float) and not isinstance(when, bool):
        try:
            if isfinite(when):
                return timedelta(seconds=when)
        except OverflowError:  # of the number as a float, or as an interval
            return timedelta.max if when > 0 else timedelta.min
    raise WorkflowMisuse(
        f"ctx.{verb} takes a datetime, a timedelta or seconds, not {_shown(when)}. "
        "Write timedelta(minutes=5), or a datetime with a time zone."
    )


# The errors of asyncio, anyio, trio and sniffio where no task of theirs runs: by the type's name, words of the text.
OTHER_LOOPS = {
    "RuntimeError": ("inside a task", "parent task", "no running event loop", "no current event loop", "async context"),
    "AsyncLibraryNotFoundError": ("",),
    "NoEventLoopError": ("",),
    "NoCurrentAsyncBackend": ("",),
}


def in_our_words(error: BaseException) -> BaseException:
    """Put Python's words for a misuse into ours; any other error stays as it is.

    These are the errors of a library that looks for an event loop, and of a task that is used as its result.
    """
    try:
        return _in_our_words(error)
    except BaseException:
        # The attributes of a user's exception may raise.
        return error


def _in_our_words(error: BaseException) -> BaseException:
    said = error.args[0] if error.args and type(error.args[0]) is str else ""
    if any(word in said for word in OTHER_LOOPS.get(type_name(error), ())):
        misuse = _needs_a_loop(said)
    elif type(error) is TypeError and said.startswith("WorkflowContext."):
        misuse = _wrong_arguments(said)
    elif type(error) in (TypeError, AttributeError) and ("'Task'" in said or said.endswith(" not Task")):
        misuse = not_awaited(said)
    else:
        return error
    misuse.__cause__ = error
    return misuse.with_traceback(error.__traceback__)


def _wrong_arguments(said: str) -> WorkflowMisuse:
    return WorkflowMisuse(
        f"ctx.{said.removeprefix('WorkflowContext.')}. The function or name comes first; input, retry_policy, "
        "instance_id, timeout and save_events are given by name: await ctx.call_activity(charge, input=order)."
    )


def _needs_a_loop(said: str) -> WorkflowMisuse:
    return WorkflowMisuse(
        "a workflow used something that needs an event loop of its own (asyncio.timeout, a task group, asyncio.sleep, "
        f"an HTTP client), which replay cannot repeat. {AWAIT_ONLY} For a timeout, put ctx.create_timer and the task "
        f"into ctx.when_any. The library said: {said}"
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that names the name probably meant, with a blank in front. Empty if no name is close."""
    lower = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(name.casefold()[:200], lower, n=1, cutoff=0.7)
    return f" Did you mean {lower[close[0]]!r}?" if close else ""


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool | int | float):
        return f"{type(value).__name__} ({value!r})"
    return type(value).__name__

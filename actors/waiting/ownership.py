"""Ownership: whether the process's own code or code of users runs at this moment.

The rule: a mark in the context decides. A program that needs the difference runs in a context with the mark; code of
users runs in a context without it. So do the tasks, callbacks and threads that code of users begins: they take the
context of the code that began them, and a thread that is begun without a context has no mark either.

The daemon is such a program (`daemon/event_loop.py`): code of users cannot cancel its tasks. An engine that is embedded
in another program sets the marks, and no code reads them.
"""

from collections.abc import Callable
from contextvars import Context, ContextVar, Token, copy_context
from enum import Enum
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class CodeOwner(Enum):
    """The owner of the code that runs. In place of one of these values, a mark may be the task that runs it."""

    PROCESS = "process"  # the process's own code
    USER = "user"
    PASSED_ON = "passed on"  # no owner: the cancellation of a task reaches the future that the task waits for


_owner: ContextVar[Any] = ContextVar("perdure_owner", default=CodeOwner.USER)


def owner() -> Any:
    """The owner of the code that runs now: a `CodeOwner`, or the task that is lent to code of users."""
    return _owner.get()


def owner_in(context: Context) -> Any:
    """The owner of the code that runs in a context."""
    return context.get(_owner, CodeOwner.USER)


def call_as(who: Any, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a copy of the context that is marked. Tasks that it begins have the mark too.

    Args:
        who: A `CodeOwner`, or a task that is lent.
    """
    return context_of(who).run(function, *args, **kwargs)


def context_of(who: Any) -> Context:
    """A copy of the context that is marked."""
    context = copy_context()
    context.run(_owner.set, who)
    return context


# Mark the present context until the mark is taken back: code of users runs in it now. Both are called for each actor
# that leaves memory, so they are built-in functions and not written in Python.
users_turn: Callable[[], Token[Any]] = partial(_owner.set, CodeOwner.USER)
turn_over: Callable[[Token[Any]], None] = _owner.reset

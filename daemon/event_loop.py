"""The daemon's event loop: asyncio's or uvloop's, protected from user code and from the tasks that it leaves behind.

The rule: only the daemon ends its loop and its tasks. The loop goes on, and the log says so, in these cases:

* A task or a callback that user code has left on the loop may raise SystemExit or KeyboardInterrupt, which asyncio
  passes on to the caller of the loop. A signal handler of user code may raise any exception in the middle of the loop.
* User code may cancel all tasks of the loop, directly or through a future that gathers them.
* User code may call methods of the loop that only its owner may call.

`actors/waiting/ownership.py` says whose code runs.

`daemon/daemon.py` runs the daemon on it. An engine that is embedded in another
program runs on the loop of that program, which keeps asyncio's rules.
"""

import asyncio
import errno
import importlib.util
import logging
import socket
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, TypeVar

from ..actors.text import text_of
from ..actors.waiting.ownership import CodeOwner, call_as, owner, owner_in
from ..journal.journal import Journal
from ..journal.vocabulary import CANCELLATION_REFUSED, LOOP_METHOD_REFUSED
from ..runtime.history.failure import failure_of

T = TypeVar("T")

logger = logging.getLogger(__name__)

# Methods of an event loop that only the program that owns it may call.
OWNERS_METHODS = (
    "add_signal_handler",
    "close",
    "remove_signal_handler",
    "set_debug",
    "set_default_executor",
    "set_exception_handler",
    "set_task_factory",
    "shutdown_asyncgens",
    "shutdown_default_executor",
    "stop",
)


def run_as_owner(function: Callable[..., T], *args: Any, **options: Any) -> T:
    """Call a function that runs an event loop, as the daemon: the loop's tasks are protected from user code."""
    return call_as(CodeOwner.PROCESS, function, *args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop: uvloop's if it is installed, else asyncio's."""
    base: Any = asyncio.SelectorEventLoop
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop  # noqa: PLC0415

        base = uvloop.Loop
    journal = Journal(__name__)
    kept = {name: _kept(name, getattr(base, name), journal) for name in OWNERS_METHODS}
    loop: asyncio.AbstractEventLoop = type("EventLoop", (Unending, base), kept)()
    loop.set_exception_handler(report)
    loop.set_task_factory(_OwnedTasks(journal))
    return loop


class Unending:
    """A mixin before the class of an event loop, which then runs until the awaited future is done."""

    def run_until_complete(self, future: Awaitable[T]) -> T:
        """Run the loop until a future is done, also if code of the app stops the loop earlier.

        Returns:
            The result of the future.
        """
        running: Any = super()
        loop: Any = self
        awaited = asyncio.ensure_future(future, loop=loop)
        while True:
            try:
                # The method stops the loop by a callback, which runs in the context of this call.
                result: T = call_as(CodeOwner.PROCESS, running.run_until_complete, awaited)
            except RuntimeError as error:
                if awaited.done() or running.is_running() or running.is_closed():
                    raise
                log("code other than the daemon's stopped the event loop; the loop continues", error)
            except BaseException as error:
                if _is_outcome(awaited, error) or _cannot_go_on(error):
                    raise
                log("an error of user code would have ended the event loop; the loop continues", error)
            else:
                return result


class OwnedTask(asyncio.Task[Any]):
    """A task that knows whose code began it. Only the daemon cancels a task of the daemon.

    Attributes:
        owned: The task is the daemon's. User code may cancel it only if the task is lent to it, as a task of an
            activity is.
    """

    owned: bool
    journal: Journal
    _told = False

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel the task as asyncio does, or refuse.

        Returns:
            Whether the task is being cancelled; False also if the task is done.
        """
        who = owner()
        if self.owned and who is not self and not self._may_cancel(who, msg):
            if not self.done():
                self.journal.write(CANCELLATION_REFUSED, task=self.get_name())
            return False
        try:
            if self.owned and who is CodeOwner.PROCESS:
                return super().cancel(msg)
            # The future that the task awaits is cancelled too, and may gather tasks of the daemon.
            return call_as(CodeOwner.PASSED_ON, super().cancel, msg)
        except BaseException as error:
            if who is not CodeOwner.PROCESS:
                raise
            # The future has a class of the app. The code that cancels the task, such as another turn, goes on.
            if not self._told:
                self._told = True
                log("a future of the app cannot be cancelled, and the task that awaits it continues", error)
            return False

    def _may_cancel(self, who: Any, msg: Any | None) -> bool:
        if who is CodeOwner.PASSED_ON:
            return False
        # User code cannot reach the daemon's scopes. It may open its own scopes in a task that is lent to it, and may
        # cancel them from any place.
        from_scope = isinstance(msg, str) and "cancel scope" in msg
        return who is CodeOwner.PROCESS or from_scope or not self.get_loop().is_running()


class _OwnedTasks:
    """The task factory of the daemon's event loop."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __call__(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, T] | Generator[Any, None, T],
        /,
        *,
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[T]:
        begun: Any = coroutine
        task = OwnedTask(begun, loop=loop, context=context, **options)
        task.owned = (owner() if context is None else owner_in(context)) is CodeOwner.PROCESS
        task.journal = self._journal
        return task


def _kept(name: str, method: Callable[..., Any], journal: Journal) -> Callable[..., Any]:
    """Wrap a method of an event loop so that it does nothing if user code calls it."""

    def kept(self: Any, *args: Any, **options: Any) -> Any:
        if owner() is CodeOwner.PROCESS or not self.is_running():
            return method(self, *args, **options)
        journal.write(LOOP_METHOD_REFUSED, method=name)
        return _nothing() if asyncio.iscoroutinefunction(getattr(asyncio.AbstractEventLoop, name)) else None

    kept.__name__ = name
    return kept


async def _nothing() -> None:
    pass


def _is_outcome(awaited: "asyncio.Future[Any]", error: BaseException) -> bool:
    """Whether a future has ended with this error."""
    if not awaited.done():
        return False
    return isinstance(error, asyncio.CancelledError) if awaited.cancelled() else awaited.exception() is error


def _cannot_go_on(error: BaseException) -> bool:
    """Whether the loop itself is broken: its descriptors were closed."""
    return isinstance(error, OSError) and error.errno in (errno.EBADF, errno.EINVAL)


def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error that no code awaits: of an abandoned task, or of a callback."""
    message = text_of(context.get("message"))
    error = context.get("exception")
    if type(error) is socket.gaierror and not isinstance(context.get("future"), asyncio.Task):
        return  # of a look-up that was cancelled: uvloop tells its outcome to a future that nobody has
    if isinstance(error, BaseException):
        log(message, error)
    else:
        logger.error("%s", message)


def log(message: str, error: BaseException) -> None:
    """Log an error of user code with its place. The log gets a text, not an exception to format."""
    failure = failure_of(error)
    extra = {"error_type": failure.error_type}
    where = f"\n{failure.stack_trace.rstrip()}" if failure.stack_trace else ""
    logger.error("%s: %s: %s%s", message, failure.error_type, failure.message, where, extra=extra)

"""Tasks, for which workflow code waits.

The rule: a task completes only because of an event, so that replay completes
the same tasks in the same order. A task belongs to one execution; nothing else
can drive it.

The execution makes and completes tasks; workflow code gets them from its
context.
"""

from collections.abc import Callable, Generator, Iterable
from typing import Any, Generic, Protocol, TypeVar

from ..errors import WorkflowMisuse
from .misuse import not_awaited, one_list

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Owner(Protocol):
    """The execution that a task belongs to."""

    @property
    def stepping(self) -> bool:
        """Whether it is running workflow code right now."""
        ...


class Task(Generic[T_co]):
    """The result to come of a request of workflow code: await it, or yield it in a generator."""

    __slots__ = ("_error", "_listeners", "_owner", "_value", "awaited", "is_complete")

    def __init__(self, owner: Owner | None) -> None:
        self._owner = owner
        self._value: Any = None
        self._error: Exception | None = None
        self._listeners: list[Callable[[Task[Any]], None]] | None = None
        self.is_complete = False
        self.awaited = False  # the code has waited for it, or has looked at its outcome

    @property
    def is_failed(self) -> bool:
        """Whether the task has ended with an error."""
        return self._error is not None

    def get_result(self) -> T_co:
        """The result of a task that is complete.

        Raises:
            WorkflowMisuse: The task is not complete yet.
            Exception: The task has failed; this is its error.
        """
        self.awaited = True
        if not self.is_complete:
            raise WorkflowMisuse("this task is not complete; await it (or yield it, in a generator) first")
        if self._error is not None:
            raise self._error
        result: T_co = self._value
        return result

    def get_exception(self) -> Exception:
        """The error of a task that has failed.

        Raises:
            WorkflowMisuse: The task has not failed.
        """
        self.awaited = True
        if self._error is None:
            raise WorkflowMisuse("this task has not failed")
        return self._error

    def __await__(self) -> Generator["Task[T_co]", None, T_co]:
        if not self.is_complete:
            if self._owner is None or not self._owner.stepping:
                raise WorkflowMisuse(
                    "a workflow's task was awaited outside its workflow, as asyncio.gather, asyncio.wait, "
                    "asyncio.create_task or a task group do. Use ctx.when_all([...]) or ctx.when_any([...])."
                )
            self.awaited = True
            yield self
        return self.get_result()

    # A forgotten `await` is reported where the task is used as its result.

    def __getitem__(self, key: object) -> Any:
        raise not_awaited("[...]")

    def __iter__(self) -> Any:
        raise not_awaited("for ... in ...")

    def __len__(self) -> int:
        raise not_awaited("len()")

    def __bool__(self) -> bool:
        return True  # `if task:` may test a variable for None

    # The execution uses these.

    def owned_by(self, owner: Owner) -> bool:
        """Whether the task is of this execution. A task that was complete when it was made belongs to any."""
        return self._owner is owner or (self._owner is None and self.is_complete)

    def succeed(self, value: Any) -> None:
        """Complete the task with a value. It must not be complete."""
        assert not self.is_complete
        self._value = value
        self._complete()

    def fail(self, error: Exception) -> None:
        """Complete the task with an error. It must not be complete."""
        assert not self.is_complete
        self._error = error
        self._complete()

    def on_complete(self, listener: Callable[["Task[Any]"], None]) -> None:
        """Call `listener` when the task completes; at once if it is complete."""
        self.awaited = True
        if self.is_complete:
            listener(self)
        elif self._listeners is None:
            self._listeners = [listener]
        else:
            self._listeners.append(listener)

    def _complete(self) -> None:
        self.is_complete = True
        listeners, self._listeners = self._listeners, None
        for listener in listeners or ():
            listener(self)


def when_all(tasks: Iterable[Task[T]]) -> Task[list[T]]:
    """Combine tasks into one that waits for all of them.

    Args:
        tasks: Tasks of one workflow. Without tasks the result is an empty list, at once.

    Returns:
        A task whose result is the list of their results, in their order. It fails as soon as the first of them does.

    Raises:
        WorkflowMisuse: One of them is not a task.
    """
    members, combined = _combine(tasks, "when_all")
    missing = len(members)
    if not members:
        combined.succeed([])

    def note(task: Task[Any]) -> None:
        nonlocal missing
        missing -= 1
        if combined.is_complete:
            return
        if task.is_failed:
            combined.fail(task.get_exception())
        elif missing == 0:
            combined.succeed([member.get_result() for member in members])

    for member in members:
        member.on_complete(note)
    return combined


def when_any(tasks: Iterable[Task[Any]]) -> Task[Task[Any]]:
    """Combine tasks into one that waits for the first of them.

    Args:
        tasks: Tasks of one workflow; one at least.

    Returns:
        A task whose result is the first of them to complete or fail.

    Raises:
        WorkflowMisuse: One of them is not a task, or there are none.
    """
    members, combined = _combine(tasks, "when_any")
    if not members:
        raise WorkflowMisuse("when_any needs at least one task")

    def note(task: Task[Any]) -> None:
        if not combined.is_complete:
            combined.succeed(task)

    for member in members:
        member.on_complete(note)
    return combined


def _combine(tasks: Iterable[Task[Any]], caller: str) -> tuple[list[Task[Any]], Task[Any]]:
    given: Any = tasks  # the caller's types may be wrong
    if not isinstance(given, Iterable):
        raise one_list(caller)
    members: list[Any] = list(given)
    for member in members:
        if not isinstance(member, Task):
            raise WorkflowMisuse(f"{caller} takes a list of the context's tasks, not {type(member).__name__}")
    return members, Task(next((member._owner for member in members if member._owner is not None), None))

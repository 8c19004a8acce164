"""An app: the workflows and activities of a program, by name.

The rule: an app is a value. Decorating a function records it and changes
nothing else. No code runs until an engine is given the app, and nothing is
global; two engines may share one app.

Users write to it; the engine, the workflow actors and the activity actors read
it.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import CodeType
from typing import Any, Literal, TypeVar, overload

from ..errors import AppError
from .codec import UNTYPED, Decoder
from .parameters import Parameters, own_name, parameters_of, result_decoder

F = TypeVar("F", bound=Callable[..., Any])


class ActivityKind(Enum):
    """Where an activity's code runs."""

    LOOP = "async def, on the event loop"
    THREAD = "plain function, in a thread"
    PROCESS = "plain function, in another process"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowDefinition:
    """A registered workflow."""

    name: str
    function: Callable[..., Any]
    parameters: Parameters
    app: "App"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityDefinition:
    """A registered activity."""

    name: str
    function: Callable[..., Any]
    kind: ActivityKind
    parameters: Parameters


class App:
    """Workflows and activities by name.

    Args:
        name: The app's name, which is its app id unless the engine's settings give another.

    Raises:
        AppError: The name is empty.
    """

    def __init__(self, name: str = "perdure") -> None:
        if not name:
            raise AppError("an app needs a name")
        self.name = name
        self.workflows: dict[str, WorkflowDefinition] = {}
        self.activities: dict[str, ActivityDefinition] = {}
        # By workflow, once it has run: the activities that it calls as functions (runtime/execution/direct_calls.py).
        self.direct_calls: dict[str, Mapping[CodeType, str]] = {}
        # By function that is registered here, as workflow or activity: its name, and the decoder of its results.
        self._known: dict[Callable[..., Any], tuple[str, Decoder]] = {}

    def __repr__(self) -> str:
        return f"App({self.name!r}: {len(self.workflows)} workflows, {len(self.activities)} activities)"

    @overload
    def workflow(self, function: F, /) -> F: ...
    @overload
    def workflow(self, /, *, name: str | None = None) -> Callable[[F], F]: ...
    def workflow(self, function: F | None = None, /, *, name: str | None = None) -> F | Callable[[F], F]:
        """Register a workflow: an `async def`, a generator, or a plain function of `(ctx)` or `(ctx, input)`.

        Args:
            name: The name by which callers start it; the function's own by default.

        Raises:
            AppError: The name is taken, the function has another shape, or no JSON fits one of its annotations.
        """

        def register(function: F) -> F:
            chosen = name or own_name(function)
            _check_workflow(function, chosen)
            parameters = parameters_of(function, chosen)
            output = result_decoder(function, chosen)
            definition = WorkflowDefinition(name=chosen, function=function, parameters=parameters, app=self)
            _add(self.workflows, chosen, definition, "workflow")
            self._known[function] = chosen, output
            return function

        return register(function) if function is not None else register

    @overload
    def activity(self, function: F, /) -> F: ...
    @overload
    def activity(
        self, /, *, name: str | None = None, executor: Literal["thread", "process"] = "thread"
    ) -> Callable[[F], F]: ...
    def activity(
        self,
        function: F | None = None,
        /,
        *,
        name: str | None = None,
        executor: Literal["thread", "process"] = "thread",
    ) -> F | Callable[[F], F]:
        """Register an activity: an `async def` or a plain function of `(ctx)` or `(ctx, input)`.

        Args:
            name: The name by which workflows call it; the function's own by default.
            executor: Where a plain function runs. "process" is for work that
                keeps a processor busy; the function must then stand at the top
                level of a module.

        Raises:
            AppError: The name is taken, the function has another shape, or no JSON fits one of its annotations.
        """

        def register(function: F) -> F:
            chosen = name or own_name(function)
            kind = _activity_kind(function, chosen, executor)
            parameters = parameters_of(function, chosen)
            output = result_decoder(function, chosen)
            definition = ActivityDefinition(name=chosen, function=function, kind=kind, parameters=parameters)
            _add(self.activities, chosen, definition, "activity")
            self._known[function] = chosen, output
            return function

        return register(function) if function is not None else register

    def name_of(self, function: Callable[..., Any] | str) -> str:
        """The name under which a function is registered here; the function's own name if it is not registered.

        Args:
            function: A function, or its name, which is given back as it is.

        Raises:
            AppError: It is not registered and has no name of its own.
        """
        if isinstance(function, str):
            return function
        if not callable(function):
            raise AppError(_no_function(function))
        known = self._known.get(function)
        return known[0] if known is not None else own_name(function)

    def output_of(self, function: Callable[..., Any] | str) -> Decoder:
        """The decoder of a function's results.

        Args:
            function: A function, registered or not, or its name.

        It follows the return annotation. For a name it gives the types that JSON has, because the function behind a
        name may be elsewhere, even in another language.
        """
        if isinstance(function, str):
            return UNTYPED
        # The decoder of an unregistered function is not kept: a lambda in a workflow is a new function at each call.
        known = self._known.get(function)
        if known is not None:
            return known[1]
        return result_decoder(function, getattr(function, "__name__", repr(function)))

    def called(self, function: Callable[..., Any] | str) -> tuple[str, Decoder]:
        """The name of a function, and the decoder of its results, in one look-up, because workflow code needs them at
        each call.

        Args:
            function: A function, registered or not, or its name.

        Raises:
            AppError: As for `name_of`.
        """
        if not isinstance(function, str):
            known = self._known.get(function)
            if known is not None:
                return known
        return self.name_of(function), self.output_of(function)


def name_of(function: Callable[..., Any] | str, app: App | None) -> str:
    """The name of a function in an app; the function's own name if there is no app.

    Raises:
        AppError: The function is not registered and has no name of its own.
    """
    if app is not None:
        return app.name_of(function)
    if isinstance(function, str):
        return function
    if not callable(function):
        raise AppError(_no_function(function))
    return own_name(function)


def _no_function(given: Any) -> str:
    """Say that something is neither a function nor a name. A coroutine is closed: Python would warn of it too."""
    if inspect.iscoroutine(given):
        given.close()
        return f"{given.__qualname__!r} was called instead of handed over; give the function itself, without calling it"
    return f"expected a function or its name, not {type(given).__name__}"


def _check_workflow(function: Callable[..., Any], name: str) -> None:
    if inspect.isasyncgenfunction(function):
        raise AppError(f"workflow {name!r} is an async generator; write `async def` with await, or `def` with yield")


def _activity_kind(function: Callable[..., Any], name: str, executor: str) -> ActivityKind:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise AppError(f"activity {name!r} is a generator; an activity returns its result")
    if executor not in ("thread", "process"):
        raise AppError(f"activity {name!r}: executor must be 'thread' or 'process', not {executor!r}")
    if inspect.iscoroutinefunction(function):
        if executor == "process":
            raise AppError(
                f"activity {name!r} is `async def` and runs on the event loop; only `def` can have a process"
            )
        return ActivityKind.LOOP
    if executor == "thread":
        return ActivityKind.THREAD
    if "." in getattr(function, "__qualname__", "."):
        raise AppError(f"activity {name!r} is not at the top level of a module; another process could not find it")
    return ActivityKind.PROCESS


def _add(table: dict[str, Any], name: str, definition: Any, what: str) -> None:
    if name in table:
        raise AppError(f"there are two {what} functions with the name {name!r}; give one of them another with name=")
    table[name] = definition

"""An app: the workflows and activities that somebody wrote.

The one law: an app is a value. Decorating a function records it and changes
nothing else; nothing runs, and nothing is global, until an engine is given the
app. Two engines may share one.
"""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, TypeVar, overload

from .codec import NO_TYPE, Decoder
from .errors import AppError

F = TypeVar("F", bound=Callable[..., Any])

# How a decorated function is recognised when it is passed to call_activity.
_NAME = "__perdure_name__"


class WorkflowKind(Enum):
    """How a workflow's code is driven."""

    COROUTINE = "async def"
    GENERATOR = "generator"
    FUNCTION = "plain function, over in its first turn"


class ActivityKind(Enum):
    """Where an activity's code runs."""

    LOOP = "async def, on the event loop"
    THREAD = "plain function, in a thread"
    PROCESS = "plain function, in another process"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowDefinition:
    name: str
    function: Callable[..., Any]
    kind: WorkflowKind
    takes_input: bool
    input: Decoder


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityDefinition:
    name: str
    function: Callable[..., Any]
    kind: ActivityKind
    takes_input: bool
    input: Decoder


class App:
    """Workflows and activities by name."""

    def __init__(self, name: str = "perdure") -> None:
        if not name:
            raise AppError("an app needs a name")
        self.name = name
        self.workflows: dict[str, WorkflowDefinition] = {}
        self.activities: dict[str, ActivityDefinition] = {}

    def __repr__(self) -> str:
        return f"App({self.name!r}: {len(self.workflows)} workflows, {len(self.activities)} activities)"

    @overload
    def workflow(self, function: F, /) -> F: ...
    @overload
    def workflow(self, /, *, name: str | None = None) -> Callable[[F], F]: ...
    def workflow(self, function: F | None = None, /, *, name: str | None = None) -> F | Callable[[F], F]:
        """Register a workflow: an `async def`, a generator, or a plain function of `(ctx)` or `(ctx, input)`.

        Args:
            name: What callers start it by; the function's name by default.

        Raises:
            AppError: The name is taken, or the function has another shape.
        """

        def register(function: F) -> F:
            definition = _workflow(function, name or function.__name__)
            _add(self.workflows, definition.name, definition, "workflow")
            _mark(function, definition.name)
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
            name: What workflows call it by; the function's name by default.
            executor: Where a plain function runs. "process" is for work that
                keeps a processor busy; the function must then stand at the top
                level of a module.

        Raises:
            AppError: The name is taken, or the function has another shape.
        """

        def register(function: F) -> F:
            definition = _activity(function, name or function.__name__, executor)
            _add(self.activities, definition.name, definition, "activity")
            _mark(function, definition.name)
            return function

        return register(function) if function is not None else register


def name_of(function: Callable[..., Any] | str) -> str:
    """The name under which a workflow or an activity was registered; a function that was not has its own."""
    if isinstance(function, str):
        return function
    name: str = getattr(function, _NAME, None) or function.__name__
    return name


def output_decoder(function: Callable[..., Any] | str) -> Decoder:
    """What reads the results of an activity or a workflow: by its return annotation, if the function is at hand."""
    if isinstance(function, str):
        return _UNTYPED
    cached: Decoder | None = getattr(function, "__perdure_output__", None)
    if cached is None:
        cached = Decoder(_output_type(function))
        function.__perdure_output__ = cached  # type: ignore[attr-defined]
    return cached


_UNTYPED = Decoder()


def _workflow(function: Callable[..., Any], name: str) -> WorkflowDefinition:
    if inspect.isasyncgenfunction(function):
        raise AppError(f"workflow {name!r} is an async generator; write `async def` with await, or `def` with yield")
    if inspect.iscoroutinefunction(function):
        kind = WorkflowKind.COROUTINE
    elif inspect.isgeneratorfunction(function):
        kind = WorkflowKind.GENERATOR
    else:
        kind = WorkflowKind.FUNCTION
    takes_input, wanted = input_type(function, name)
    return WorkflowDefinition(name=name, function=function, kind=kind, takes_input=takes_input, input=Decoder(wanted))


def _activity(function: Callable[..., Any], name: str, executor: str) -> ActivityDefinition:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise AppError(f"activity {name!r} is a generator; an activity returns its result")
    if executor not in ("thread", "process"):
        raise AppError(f"activity {name!r}: executor must be 'thread' or 'process', not {executor!r}")
    if inspect.iscoroutinefunction(function):
        if executor == "process":
            raise AppError(
                f"activity {name!r} is `async def` and runs on the event loop; only `def` can have a process"
            )
        kind = ActivityKind.LOOP
    elif executor == "process":
        if "<locals>" in function.__qualname__:
            raise AppError(f"activity {name!r} is defined inside a function; another process could not find it")
        kind = ActivityKind.PROCESS
    else:
        kind = ActivityKind.THREAD
    takes_input, wanted = input_type(function, name)
    return ActivityDefinition(name=name, function=function, kind=kind, takes_input=takes_input, input=Decoder(wanted))


def input_type(function: Callable[..., Any], name: str) -> tuple[bool, Any]:
    """Whether a function takes an input behind the context, and of which type.

    Raises:
        AppError: It can take neither (ctx) nor (ctx, input).
    """
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = list(inspect.signature(function).parameters.values())
    taken = [parameter for parameter in parameters if parameter.kind in positional]
    required = [parameter for parameter in parameters if parameter.default is inspect.Parameter.empty]
    if not len(taken) >= 1 or len([parameter for parameter in required if parameter in taken]) > 2:
        raise AppError(f"{name!r} must take (ctx) or (ctx, input), not {inspect.signature(function)}")
    if len(taken) == 1:
        return False, NO_TYPE
    return True, _hints(function).get(taken[1].name, NO_TYPE)


def _output_type(function: Callable[..., Any]) -> Any:
    wanted = _hints(function).get("return", NO_TYPE)
    if typing.get_origin(wanted) in _GENERATORS:
        wanted = typing.get_args(wanted)[-1]
    # None is no payload, so there is nothing to read for it.
    return NO_TYPE if wanted is type(None) else wanted


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function; those that cannot be resolved (defined in a function, say) do not count."""
    try:
        return typing.get_type_hints(function)
    except Exception:
        return {key: hint for key, hint in function.__annotations__.items() if not isinstance(hint, str)}


_GENERATORS = {typing.get_origin(typing.Generator[Any, Any, Any])}


def _mark(function: Callable[..., Any], name: str) -> None:
    setattr(function, _NAME, name)


def _add(table: dict[str, Any], name: str, definition: Any, what: str) -> None:
    if name in table:
        raise AppError(f"there are two {what} functions with the name {name!r}; give one of them another with name=")
    table[name] = definition

"""An app: the workflows and activities that somebody wrote.

The one law: an app is a value. Decorating a function records it and changes
nothing else; nothing runs, and nothing is global, until an engine is given the
app. Two engines may share one.
"""

import functools
import importlib
import inspect
import logging
import typing
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, TypeVar, overload

from ..errors import AppError
from .codec import NO_TYPE, Decoder

logger = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


class ActivityKind(Enum):
    """Where an activity's code runs."""

    LOOP = "async def, on the event loop"
    THREAD = "plain function, in a thread"
    PROCESS = "plain function, in another process"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What a function takes behind its context."""

    takes_input: bool
    has_default: bool
    input: Decoder

    def arguments(self, context: Any, payload: str | None) -> tuple[Any, ...]:
        """What to call the function with.

        Raises:
            PayloadError: The payload does not fit the annotation.
        """
        if not self.takes_input or (self.has_default and not payload):
            return (context,)
        return (context, self.input.decode(payload))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowDefinition:
    name: str
    function: Callable[..., Any]
    parameters: Parameters
    app: "App"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityDefinition:
    name: str
    function: Callable[..., Any]
    kind: ActivityKind
    parameters: Parameters


class App:
    """Workflows and activities by name."""

    def __init__(self, name: str = "perdure") -> None:
        if not name:
            raise AppError("an app needs a name")
        self.name = name
        self.workflows: dict[str, WorkflowDefinition] = {}
        self.activities: dict[str, ActivityDefinition] = {}
        self._names: dict[Callable[..., Any], str] = {}
        self._outputs: dict[Callable[..., Any], Decoder] = {}

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
            chosen = name or own_name(function)
            _check_workflow(function, chosen)
            parameters = parameters_of(function, chosen)
            definition = WorkflowDefinition(name=chosen, function=function, parameters=parameters, app=self)
            _add(self.workflows, chosen, definition, "workflow")
            self._names[function] = chosen
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
            chosen = name or own_name(function)
            kind = _activity_kind(function, chosen, executor)
            parameters = parameters_of(function, chosen)
            definition = ActivityDefinition(name=chosen, function=function, kind=kind, parameters=parameters)
            _add(self.activities, chosen, definition, "activity")
            self._names[function] = chosen
            return function

        return register(function) if function is not None else register

    def name_of(self, function: Callable[..., Any] | str) -> str:
        """The name under which a function was registered here; one that was not goes by its own."""
        if isinstance(function, str):
            return function
        return self._names.get(function) or own_name(function)

    def output_of(self, function: Callable[..., Any] | str) -> Decoder:
        """What reads the results of a function: by its return annotation, if the function is at hand."""
        if isinstance(function, str):
            return _UNTYPED
        decoder = self._outputs.get(function)
        if decoder is None:
            decoder = Decoder(_output_type(function))
            # Only those that are registered: a lambda in a workflow is another one each time.
            if function in self._names:
                self._outputs[function] = decoder
        return decoder


def own_name(function: Callable[..., Any]) -> str:
    """What a function is called where it is defined.

    Raises:
        AppError: It has no name, as a `functools.partial` has none.
    """
    name: str | None = getattr(function, "__name__", None)
    if name is None:
        raise AppError(f"{function!r} has no name of its own; give it one with name=")
    return name


def name_of(function: Callable[..., Any] | str, app: App | None) -> str:
    """The name of a function in an app; without one, its own."""
    if app is not None:
        return app.name_of(function)
    return function if isinstance(function, str) else own_name(function)


def parameters_of(function: Callable[..., Any], name: str) -> Parameters:
    """What a function takes.

    Raises:
        AppError: It can be called neither with (ctx) nor with (ctx, input), or no JSON fits its input.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise AppError(f"{name!r} cannot be called with (ctx) or (ctx, input): {error}") from error
    parameters = list(signature.parameters.values())
    taken = [parameter for parameter in parameters if parameter.kind in _POSITIONAL]
    needed = [parameter for parameter in parameters if parameter.default is _NONE and parameter.kind not in _VARIADIC]
    surplus = [parameter for parameter in needed if parameter not in taken[:2]]
    if not taken or surplus:
        raise AppError(f"{name!r} must take (ctx) or (ctx, input), not {signature}")
    if len(taken) == 1:
        return Parameters(takes_input=False, has_default=False, input=_UNTYPED)
    wanted = _hints(function).get(taken[1].name, NO_TYPE)
    return Parameters(takes_input=True, has_default=taken[1].default is not _NONE, input=Decoder(wanted))


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


def _output_type(function: Callable[..., Any]) -> Any:
    wanted = _hints(function).get("return", NO_TYPE)
    if typing.get_origin(wanted) is _GENERATOR:
        wanted = typing.get_args(wanted)[-1]
    # None is no payload, so there is nothing to read for it.
    return NO_TYPE if wanted is type(None) else wanted


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function, one by one: what cannot be resolved (imported for type checkers) is left out."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    hints: dict[str, Any] = {}
    for key, hint in _annotations(function).items():
        try:
            hints[key] = typing.get_type_hints(_Annotated(key, hint, function)).get(key)
        except Exception as error:
            logger.debug("the annotation %r of %r cannot be resolved: %s", hint, function, error)
    return hints


def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return getattr(function, "__annotations__", {})
    except NameError:
        # From Python 3.14 on they are evaluated when they are asked for; one that is not there would hide the others.
        annotationlib = importlib.import_module("annotationlib")
        return dict(annotationlib.get_annotations(function, format=annotationlib.Format.FORWARDREF))


class _Annotated:
    """One annotation of a function, in a form that `typing.get_type_hints` takes."""

    def __init__(self, key: str, hint: Any, function: Callable[..., Any]) -> None:
        self.__annotations__ = {key: hint}
        self.__globals__ = getattr(function, "__globals__", {})


_UNTYPED = Decoder()
_NONE = inspect.Parameter.empty
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_GENERATOR = typing.get_origin(typing.Generator[Any, Any, Any])


def _add(table: dict[str, Any], name: str, definition: Any, what: str) -> None:
    if name in table:
        raise AppError(f"there are two {what} functions with the name {name!r}; give one of them another with name=")
    table[name] = definition

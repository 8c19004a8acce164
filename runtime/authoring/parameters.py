"""Signatures of workflows and activities: the input and the result of a function.

The rule: an annotation that cannot be resolved counts as none and spoils no
other. Names that are imported under TYPE_CHECKING, as the contexts often are,
do not exist at run time.

`runtime/authoring/app.py` reads each function that it registers;
`runtime/activities/process_call.py` reads one again in the other process.
"""

import functools
import importlib
import inspect
import logging
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...actors.text import repr_of, text_of
from ..errors import AppError
from .codec import NO_TYPE, UNTYPED, Decoder

logger = logging.getLogger(__name__)

_NONE = inspect.Parameter.empty
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_GENERATOR = typing.get_origin(typing.Generator[Any, Any, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters of a function after its context: one, the input, or none."""

    takes_input: bool
    has_default: bool  # the input has one
    input: Decoder

    def arguments(self, context: Any, payload: str | None) -> tuple[Any, ...]:
        """The arguments to call the function with.

        Args:
            context: The first argument.
            payload: The input as JSON text; None, or an empty text, if there is none.

        Returns:
            The context, and the input if the function takes one. Without a payload a default of the function's own
            counts, as in Dapr's SDK.

        Raises:
            PayloadError: The payload does not fit the annotation.
        """
        if not self.takes_input or (self.has_default and not payload):
            return (context,)
        return (context, self.input.decode(payload))


def own_name(function: Callable[..., Any]) -> str:
    """The name of a function where it is defined.

    Raises:
        AppError: It has no name, as a `functools.partial` has none.
    """
    name: str | None = getattr(function, "__name__", None)
    if name is None:
        raise AppError(f"{function!r} has no name of its own; give it one with name=")
    return name


def parameters_of(function: Callable[..., Any], name: str) -> Parameters:
    """Read the parameters of a function.

    Args:
        function: A workflow or an activity.
        name: The name under which it is registered, for the errors.

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
        return Parameters(takes_input=False, has_default=False, input=UNTYPED)
    wanted = _hints(function).get(taken[1].name, NO_TYPE)
    decoder = _decoder(wanted, f"the parameter {taken[1].name!r} of {name!r}")
    return Parameters(takes_input=True, has_default=taken[1].default is not _NONE, input=decoder)


def result_decoder(function: Callable[..., Any], name: str) -> Decoder:
    """The decoder of a function's results, by its return annotation.

    Args:
        function: A workflow or an activity.
        name: The name under which it is registered, for the errors.

    Raises:
        AppError: No JSON can become a value of the annotated type.
    """
    wanted = _hints(function).get("return", NO_TYPE)
    if typing.get_origin(wanted) is _GENERATOR:
        wanted = typing.get_args(wanted)[-1]
    # None is written as no payload, so there is nothing to read for it.
    return _decoder(NO_TYPE if wanted is type(None) else wanted, f"the result of {name!r}")


def _decoder(wanted: Any, what: str) -> Decoder:
    try:
        return Decoder(wanted)
    except AppError as error:
        raise AppError(f"{what}: {error}") from error


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function that can be resolved, each by itself."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    hints: dict[str, Any] = {}
    for key, hint in _annotations(function).items():
        try:
            hints[key] = typing.get_type_hints(_Annotated(key, hint, function), include_extras=True).get(key)
        except Exception as error:
            what = (repr_of(hint), repr_of(function), text_of(error))
            logger.debug("the annotation %s of %s cannot be resolved: %s", *what)
    return hints


def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return getattr(function, "__annotations__", {})
    except NameError:
        # From Python 3.14 on annotations are evaluated when they are read; a missing name would hide all of them.
        annotationlib = importlib.import_module("annotationlib")
        return dict(annotationlib.get_annotations(function, format=annotationlib.Format.FORWARDREF))


class _Annotated:
    """One annotation of a function, in a form that `typing.get_type_hints` takes."""

    def __init__(self, key: str, hint: Any, function: Callable[..., Any]) -> None:
        self.__annotations__ = {key: hint}
        self.__globals__ = getattr(function, "__globals__", {})

"""Functions and annotations for tests of apps, and the input that a registered function gets."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perdure.runtime.authoring.app import ActivityDefinition, WorkflowDefinition

if TYPE_CHECKING:
    # As in the code of users: the name does not exist when the program runs.
    from perdure import ActivityContext


@dataclass
class Order:
    sku: str
    count: int = 1


def at_the_top(ctx: ActivityContext, order: Order) -> int:
    return order.count


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


def given(definition: WorkflowDefinition | ActivityDefinition, payload: str | None) -> Any:
    """The input of a function, among its arguments."""
    context = object()
    first, *rest = definition.parameters.arguments(context, payload)
    assert first is context
    return rest[0] if rest else "nothing"

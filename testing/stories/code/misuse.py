"""Misuse of a world by its story, refused with the line to write instead.

The rule: misuse is refused where the story writes it.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import NoReturn

from ..errors import SimulationMisuse


class NotAwaited:
    """The result of a call that is done at once; an error says so to a story that awaits it."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __await__(self) -> NoReturn:
        raise SimulationMisuse(f"write world.{self._what}(...) without await: it is done at once")


def require_check(check: object) -> None:
    """Refuse anything but a function that can be asked at any time whether something holds.

    Raises:
        SimulationMisuse
    """
    if not callable(check):
        raise SimulationMisuse(
            f"what must hold is a function, which is asked again and again: lambda: ..., and not {check!r}"
        )
    if inspect.iscoroutinefunction(check):
        raise SimulationMisuse("what must hold is a plain function: it looks, and does not wait")


def require_fake(fake: object) -> None:
    """Refuse anything but an object with methods that can stand for a system outside.

    Raises:
        SimulationMisuse
    """
    if isinstance(fake, type):
        raise SimulationMisuse(f"outside takes a fake, as outside({fake.__name__}()), and not its class")
    if isinstance(fake, partial) or (type(fake).__module__ == "builtins" and not isinstance(fake, ModuleType)):
        raise SimulationMisuse(
            f"outside takes an object whose methods stand for a system, as outside(Bank()), and not {fake!r}"
        )


def require_stream(name: str) -> None:
    """Refuse a name of choices that cannot stand in the line of a schedule.

    Raises:
        SimulationMisuse
    """
    if set(str(name)) & set("=,") or len(str(name).split()) != 1:
        raise SimulationMisuse(f'the name of a choice is a word, as name="orders", and not {name!r}')


def require_numbers(low: object, high: object) -> None:
    """Refuse anything but two whole numbers of which the first is not the larger.

    Raises:
        SimulationMisuse
    """
    if not isinstance(low, int) or not isinstance(high, int):
        raise SimulationMisuse(f"pick takes two whole numbers, as pick(1, 6), and not {low!r} and {high!r}")
    if high < low:
        raise SimulationMisuse(f"there is no number from {low} to {high}")


def require_values(values: object) -> None:
    """Refuse anything but values in an order.

    Raises:
        SimulationMisuse
    """
    if not isinstance(values, Sequence):
        raise SimulationMisuse(f"choose takes a list or a tuple, whose order repeats, and not {values!r}")
    if not values:
        raise SimulationMisuse("there is nothing to choose from")


def unclear(name: str, holds: object) -> SimulationMisuse:
    """The error for an answer of a check that is neither yes nor no, as the coroutine of a method of a fake."""
    if inspect.iscoroutine(holds):
        holds.close()
    return SimulationMisuse(
        f"{name!r} returned {holds!r}; what must hold returns True or False, or nothing and asserts: compare it, as "
        "in `len(bank.charges) <= 1`"
    )


def require_errors(lost: object, errors: object) -> Sequence[Callable[[str], BaseException]]:
    """Return the errors with which a fake may answer; refuse anything else.

    Args:
        lost: Makes the error of a call that was lost.
        errors: Make the errors that it may answer with.

    Raises:
        SimulationMisuse
    """
    if not callable(lost):
        raise SimulationMisuse(f"lost is a class of errors, as lost=ConnectionError, and not {lost!r}")
    if not isinstance(errors, list | tuple) or not all(map(callable, errors)):
        raise SimulationMisuse(f"errors are classes of errors in a tuple, as errors=(ValueError,), and not {errors!r}")
    return tuple(errors)

"""Imports by code of a world: what a module does as it is imported is the machine's, and `datetime` is the world's.

The rule: a world does not depend on which modules were there before it.

An import in a function happens in the first world only. If the module asked for a port, a process or a random number,
it would be told of a world's fence, or take of the first world's chance and of no other's.
"""

import builtins
import datetime
import importlib._bootstrap
from collections.abc import Callable, Iterable
from typing import Any

from .senses import Senses
from .switch import Switch


def import_switches(senses: Senses, scopes: Iterable[dict[str, Any]]) -> list[Switch]:
    """The names to replace, with their substitutes.

    Args:
        scopes: The globals of the user's own modules.
    """
    bootstrap: Any = importlib._bootstrap
    return [
        Switch(bootstrap, "_find_and_load", _loading(senses, bootstrap._find_and_load)),
        Switch(builtins, "__import__", _importing(senses, builtins.__import__, frozenset(map(id, scopes)))),
    ]


def _loading(senses: Senses, real: Callable[..., Any]) -> Callable[..., Any]:
    """Load a module outside of the world."""

    def find_and_load(*given: Any) -> Any:
        with senses.outside():
            return real(*given)

    return find_and_load


def _importing(senses: Senses, real: Callable[..., Any], own: frozenset[int]) -> Callable[..., Any]:
    """Import `datetime` in a function of the user's own as their modules see it."""
    dates = senses.dates[id(datetime)]

    def import_(name: str, scope: Any = None, *rest: Any, **named: Any) -> Any:
        found = real(name, scope, *rest, **named)
        return dates if found is datetime and id(scope) in own and senses.here is not None else found

    return import_

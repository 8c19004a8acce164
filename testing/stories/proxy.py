"""The proxy of a fake in the user's app: it has the fake's attributes, and its methods go over a network.

The rule: the app cannot distinguish it from the fake, except by the time and the failures of a network.

`testing/stories/world.py` makes it.
"""

from typing import Any

from ..simulation.machines.outside import Outside


class OutsideFake:
    """A fake, seen over a network.

    `isinstance` takes it for one of the fake's class. Attributes that are no methods are the fake's own.
    """

    __slots__ = ("_outside",)

    def __init__(self, outside: Outside) -> None:
        object.__setattr__(self, "_outside", outside)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        outside: Outside = object.__getattribute__(self, "_outside")
        return type(outside.fake)

    def __getattr__(self, name: str) -> Any:
        outside: Outside = object.__getattribute__(self, "_outside")
        value = getattr(outside.fake, name)
        if name.startswith("_") or not callable(value) or isinstance(value, type):
            return value
        return outside.method(name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(object.__getattribute__(self, "_outside").fake, name, value)

    def __repr__(self) -> str:
        outside: Outside = object.__getattribute__(self, "_outside")
        return f"<{outside.fake!r} behind a simulated network>"

"""`datetime` and `date` as the user's own modules see them in a world: today is the world's.

The rule: what they make are dates of the standard library. Only the names differ, and only in these modules, so
nothing that holds a type of date, as a codec does, ever sees these classes.
"""

import datetime as standard
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any


def dated(date_s: Callable[[], float | None]) -> Mapping[int, Any]:
    """The substitutes for the module and its two classes in a world, by the id of the real one.

    Args:
        date_s: The world's date, Unix time in seconds; None for code that is of no world.
    """
    real_datetime, real_date = standard.datetime, standard.date

    class SimDatetime(standard.datetime, metaclass=_Standing):
        stands_for = real_datetime

        def __new__(cls, *given: Any, **named: Any) -> Any:
            return real_datetime(*given, **named)

        @classmethod
        def now(cls, tz: standard.tzinfo | None = None) -> Any:
            at_s = date_s()
            return real_datetime.now(tz) if at_s is None else real_datetime.fromtimestamp(at_s, tz)

        @classmethod
        def today(cls) -> Any:
            return cls.now()

        @classmethod
        def utcnow(cls) -> Any:
            return cls.now(standard.UTC).replace(tzinfo=None)

    class SimDate(standard.date, metaclass=_Standing):
        stands_for = real_date

        def __new__(cls, *given: Any, **named: Any) -> Any:
            return real_date(*given, **named)

        @classmethod
        def today(cls) -> Any:
            return SimDatetime.now().date()

    module = ModuleType("datetime", standard.__doc__)
    vars(module).update(vars(standard))
    vars(module).update(datetime=SimDatetime, date=SimDate)
    return {id(real_datetime): SimDatetime, id(real_date): SimDate, id(standard): module}


class _Standing(type):
    """The class of a class that stands for another: instances of that one are its instances."""

    stands_for: type

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.stands_for)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, cls.stands_for)

"""Decodes and checks the query of a request to the management API.

The rule: a name that the route does not have, a repeated name, and an impossible value are errors that name it.
"""

from collections.abc import Collection, Iterable, Sequence

from ...runtime.operations.reading.listing import InstanceFilter
from ..words import ErrorAnswer, Refusal
from .filters import TAG, filter_of_query, is_filter
from .moments import parse_length, parse_moment
from .words import FILTER_INVALID, QUERY_INVALID


class RequestQuery:
    """The names and values of a query.

    Args:
        pairs: Decoded, in their order.
        names: The names that the route has besides filters.
        filters: Whether the query may have filters.
        tags: Whether the query may have `tag.KEY` (always with filters).

    Raises:
        Refusal: A name is unknown or repeated.
    """

    def __init__(
        self, pairs: Iterable[tuple[str, str]], names: Collection[str], *, filters: bool = False, tags: bool = False
    ) -> None:
        self.invalid: ErrorAnswer = FILTER_INVALID if filters else QUERY_INVALID
        self.filters: list[tuple[str, str]] = []
        self.tags: dict[str, str] = {}
        self.values: dict[str, str] = {}
        for name, value in pairs:
            if filters and is_filter(name):
                self.filters.append((name, value))
                continue
            if tags and name.startswith(TAG) and name != TAG:
                known, key = self.tags, name.removeprefix(TAG)
            elif name in names:
                known, key = self.values, name
            else:
                there = [*names, *(["tag.KEY"] if tags else []), *(["the filters"] if filters else [])]
                known_here = f"there are {', '.join(there)}" if there else "this request takes no parameters"
                raise self.refusal(f"{name!r} is not known here; {known_here}")
            if key in known:
                raise self.refusal(f"{name!r} is given twice; it takes one value")
            known[key] = value

    def filter(self, *, app_id: str) -> InstanceFilter:
        """Return the filter. Raises Refusal."""
        return filter_of_query(self.filters, app_id=app_id)

    def text(self, name: str) -> str | None:
        """Return a value unchanged; None if it is missing or empty (an empty cursor means the beginning)."""
        return self.values.get(name) or None

    def word(self, name: str) -> str | None:
        """Return an id or a name; None if it is missing. Raises Refusal if it is empty: a variable was not set."""
        if (text := self.values.get(name)) == "":
            raise self.refusal(f"{name!r} is empty; leave it out, or give it a value")
        return text

    def number(self, name: str, default: int, *, low: int, high: int) -> int:
        """Return a whole number. Raises Refusal."""
        text = self.values.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 19 and low <= int(text) <= high):
            raise self.refusal(f"{name!r} is {text!r}, and it takes a whole number from {low} to {high}")
        return int(text)

    def choice(self, name: str, default: str, options: Collection[str]) -> str:
        """Return one of several words. Raises Refusal."""
        text = self.values.get(name, default)
        if text not in options:
            raise self.refusal(f"{name!r} is {text!r}, and it takes {' or '.join(options)}")
        return text

    def choices(self, name: str, options: Sequence[str]) -> list[str]:
        """Return a list of words, given with commas, each once; empty if the name is missing. Raises Refusal."""
        text = self.values.get(name)
        if text is None:
            return []
        words = text.split(",")
        for word in words:
            if word not in options:
                raise self.refusal(f"{name!r} has {word!r}, and it takes {', '.join(options)}, with commas between")
        return list(dict.fromkeys(words))

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false. Raises Refusal."""
        return self.choice(name, "true" if default else "false", ("true", "false")) == "true"

    def moment(self, name: str) -> int | None:
        """Return a moment as Unix time in microseconds; None if it is missing. Raises Refusal."""
        text = self.values.get(name)
        if text is None:
            return None
        try:
            return parse_moment(text)
        except ValueError as error:
            raise self.refusal(f"{name!r}: {error}") from None

    def length(self, name: str, default_us: int, *, high_us: int) -> int:
        """Return a length of time in microseconds. Raises Refusal."""
        text = self.values.get(name)
        if text is None:
            return default_us
        try:
            length_us = parse_length(text)
        except ValueError as error:
            raise self.refusal(f"{name!r}: {error}") from None
        if length_us > high_us:
            raise self.refusal(f"{name!r} is {text!r}, and it may be {high_us // 10**6} s at most")
        return length_us

    def refusal(self, detail: str) -> Refusal:
        """Make the error for a part of the query."""
        return Refusal(self.invalid, detail=detail)

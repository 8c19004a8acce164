"""The query of a request to the management API, read and checked.

The rule: a name that the route does not know, a name twice, and a value that cannot be, are errors that name it.
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
        names: The names that the route takes beside filters.
        filters: Whether it takes filters.
        tags: Whether it takes `tag.KEY` (a route that takes filters does).

    Raises:
        Refusal: A name is not known, or stands twice.
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
                raise self.refusal(f"{name!r} is not known here; there are {', '.join(there) or 'none'}")
            if key in known:
                raise self.refusal(f"{name!r} stands twice; it takes one value")
            known[key] = value

    def filter(self, *, app_id: str) -> InstanceFilter:
        """Read the filters. Raises Refusal."""
        return filter_of_query(self.filters, app_id=app_id)

    def text(self, name: str) -> str | None:
        """Return a value as it is; None if it is absent or empty, as an opaque one is that asks for the beginning."""
        return self.values.get(name) or None

    def word(self, name: str) -> str | None:
        """Return an id or a name; None if it is absent. Raises Refusal: it is empty, as of a variable not set."""
        if (text := self.values.get(name)) == "":
            raise self.refusal(f"{name!r} is empty; leave it out, or give it a value")
        return text

    def number(self, name: str, default: int, *, low: int, high: int) -> int:
        """Read a whole number. Raises Refusal."""
        text = self.values.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 19 and low <= int(text) <= high):
            raise self.refusal(f"{name!r} is {text!r}, and it takes a whole number from {low} to {high}")
        return int(text)

    def choice(self, name: str, default: str, options: Collection[str]) -> str:
        """Read one of several words. Raises Refusal."""
        text = self.values.get(name, default)
        if text not in options:
            raise self.refusal(f"{name!r} is {text!r}, and it takes {' or '.join(options)}")
        return text

    def choices(self, name: str, options: Sequence[str]) -> list[str]:
        """Read a list of words with commas between them, each once; without the name it is empty. Raises Refusal."""
        text = self.values.get(name)
        if text is None:
            return []
        words = text.split(",")
        for word in words:
            if word not in options:
                raise self.refusal(f"{name!r} has {word!r}, and it takes {', '.join(options)}, with commas between")
        return list(dict.fromkeys(words))

    def flag(self, name: str, *, default: bool) -> bool:
        """Read true or false. Raises Refusal."""
        return self.choice(name, "true" if default else "false", ("true", "false")) == "true"

    def moment(self, name: str) -> int | None:
        """Read a moment as Unix time in microseconds; None if it is absent. Raises Refusal."""
        text = self.values.get(name)
        if text is None:
            return None
        try:
            return parse_moment(text)
        except ValueError as error:
            raise self.refusal(f"{name!r}: {error}") from None

    def length(self, name: str, default_us: int, *, high_us: int) -> int:
        """Read a length of time in microseconds. Raises Refusal."""
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
        """Make the error for something in the query."""
        return Refusal(self.invalid, detail=detail)

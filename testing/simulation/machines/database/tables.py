"""Tables of the stand-in: versions of rows, and where they are found.

The rule: a table has the columns and the keys that the store's own CREATE TABLE gives it. Nothing of a table is
written down twice.

`work.py` decides which versions a statement sees.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

from .transactions import Row, Version

NO_VERSIONS: Sequence[Version] = ()

_STORAGE = re.compile(r" WITH \(\w+ = \w+\)\s*$")
_TABLE = re.compile(r"\s*CREATE TABLE (\w+) \((.*)\)\s*", re.DOTALL)
_INDEX = re.compile(r"\s*CREATE INDEX \w+ ON (\w+) \(([\w, ]+)\)")
_KEY = re.compile(r"(?:PRIMARY KEY|UNIQUE) \(([\w, ]+)\)")


class TableMade(NamedTuple):
    """The definition of a table, as CREATE TABLE gives it."""

    name: str
    columns: Sequence[str]
    defaults: Mapping[str, Any]
    identity: str | None  # the column that is counted
    keys: Sequence[Sequence[str]]  # the primary key first


@cache
def table_made(sql: str) -> TableMade | None:
    """Read a CREATE TABLE; None for another statement."""
    match = _TABLE.fullmatch(_STORAGE.sub("", sql))
    if match is None:
        return None
    columns: list[str] = []
    defaults: dict[str, Any] = {}
    keys: list[Sequence[str]] = []
    identity: str | None = None
    for part in _parts(match[2]):
        if key := _KEY.fullmatch(part):
            keys.append(key[1].split(", "))
            continue
        name, rest = part.split(None, 1)
        columns.append(name)
        if "GENERATED ALWAYS AS IDENTITY" in rest:
            identity = name
        if default := re.search(r"DEFAULT (\S+)", rest):
            defaults[name] = _DEFAULTS[default[1]] if default[1] in _DEFAULTS else int(default[1])
        if "PRIMARY KEY" in rest:
            keys.insert(0, [name])
    return TableMade(match[1], columns, defaults, identity, keys)


_DEFAULTS: Mapping[str, Any] = {"false": False, "true": True, "''": ""}


def _parts(text: str) -> list[str]:
    """The parts of a list that stand between commas outside of parentheses."""
    parts, depth, begin = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            parts.append(text[begin:at])
            begin = at + 1
    return [part.strip() for part in [*parts, text[begin:]]]


@cache
def index_made(sql: str) -> tuple[str, Sequence[str]] | None:
    """Read a CREATE INDEX: the table, and the columns; None for another statement."""
    match = _INDEX.match(sql)
    return (match[1], match[2].split(", ")) if match is not None else None


class Table:
    """A table.

    Attributes:
        at: Column -> its place in a row.
        keys: The columns of each key, as places; of two rows with one key one is refused.
    """

    def __init__(self, made: TableMade) -> None:
        self.name = made.name
        self.columns = tuple(made.columns)
        self.at = {name: i for i, name in enumerate(made.columns)}
        self.identity = made.identity
        self.keys = [tuple(self.at[name] for name in key) for key in made.keys]
        self._defaults = made.defaults
        self._last_number = 0
        self._serial = 0
        self._versions: dict[int, Version] = {}
        self._found: dict[tuple[int, ...], dict[Any, list[Version]]] = {}
        self._getters: list[tuple[tuple[int, ...], Any, dict[Any, list[Version]]]] = []
        for key in self.keys:
            self._add_index(key)

    def row(self, **values: Any) -> Row:
        """A row with these values, and the defaults elsewhere; an identity is counted."""
        if self.identity is not None and self.identity not in values:
            values[self.identity] = self.next_number()
        made = tuple(values.pop(name) if name in values else self._defaults.get(name) for name in self.columns)
        assert not values, f"{self.name} has no {', '.join(values)}"
        return made

    def next_number(self) -> int:
        """The next number of the identity. It is not given back, also if the row is undone."""
        self._last_number += 1
        return self._last_number

    def getter(self, *names: str) -> Any:
        """Takes these columns out of a row."""
        return itemgetter(*(self.at[name] for name in names))

    def changed(self, row: Row, **values: Any) -> Row:
        """A row with other values."""
        new = list(row)
        for name, value in values.items():
            new[self.at[name]] = value
        return tuple(new)

    # Where versions are.

    def index(self, *names: str) -> None:
        """Have `versions` find rows by these columns."""
        self._add_index(tuple(self.at[name] for name in names))

    def _add_index(self, columns: tuple[int, ...]) -> None:
        if columns in self._found:
            return
        found: dict[Any, list[Version]] = {}
        getter = itemgetter(*columns)
        self._found[columns] = found
        self._getters.append((columns, getter, found))
        for version in self._versions.values():
            found.setdefault(getter(version.row), []).append(version)

    def versions(self, columns: tuple[int, ...], key: Any) -> Sequence[Version]:
        """All versions of rows with a key; of one column it is the value itself."""
        return self._found[columns].get(key, NO_VERSIONS)

    def places(self, *names: str) -> tuple[int, ...]:
        """The places of columns in a row."""
        return tuple(self.at[name] for name in names)

    def all(self) -> list[Version]:
        """All versions of all rows."""
        return list(self._versions.values())

    def keep(self, version: Version) -> None:
        """Add a version of a row, and enter it into the indexes."""
        self._serial += 1
        version.serial = self._serial
        self._versions[self._serial] = version
        for _, getter, found in self._getters:
            key = getter(version.row)
            there = found.get(key)
            if there is None:
                found[key] = [version]
            else:
                there.append(version)

    def forget(self, version: Version) -> None:
        """Take a version away, if it is there."""
        if self._versions.pop(version.serial, None) is None:
            return
        for _, getter, found in self._getters:
            key = getter(version.row)
            there = found[key]
            if len(there) == 1:
                del found[key]
            else:
                there.remove(version)

"""The commit, part by part: a function on tables for each statement in `actors/store/postgres/statements.py`.

The rule: all parts see one snapshot, and none is done without the fence. The parts whose rows must be there are done
first, because the server computes the answer first; the others follow from the last to the first.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from ......actors.store.postgres.driver import Refused, Statement
from ......actors.store.postgres.statements import FENCE_ARGUMENTS, MISSED, MUST_MATCH, PARTS
from ..backend import Scene
from ..transactions import Row, Strength
from ..work import Waiting

FACETS = ("kind", "created_us", "updated_us", "ended_us", "parent", "tags")

Column: TypeAlias = Sequence[Any]


class Committing(NamedTuple):
    """A commit under way: its parts, each with its columns."""

    scene: Scene
    columns: Mapping[str, Sequence[Column]]


Part: TypeAlias = Callable[[Committing, Sequence[Column]], Waiting[int]]


def passes_fence(scene: Scene, host: int, life: int, timeline: str) -> Waiting[bool]:
    """Lock the host's own row, and return whether it is as it must be."""
    hosts, work = scene.tables["hosts"], scene.work
    of_life = hosts.at["life"]
    right = scene.server.timeline == timeline
    for version in work.find(hosts, hosts.keys[0], host):
        if version.row[of_life] == life and right:
            held = yield from work.lock(version, Strength.KEY_SHARE, lambda row: bool(row[of_life] == life))
            return held is not None
    return False


def commit(scene: Scene, statement: Statement, *arguments: Any) -> Waiting[Sequence[Row]]:
    """Commit, or do nothing if the fence does not let it through."""
    columns: dict[str, Sequence[Column]] = {}
    at = FENCE_ARGUMENTS
    for part in statement.parts:
        width = len(PARTS[part][0])
        columns[part] = arguments[at : at + width]
        at += width
    require_text(arguments)
    if not (yield from passes_fence(scene, *arguments[:FENCE_ARGUMENTS])):
        return []
    made = Committing(scene, columns)
    matched = 0
    for part in statement.parts:
        if part in MUST_MATCH:
            matched += yield from FUNCTIONS[part](made, columns[part])
    if at < len(arguments) and matched != arguments[at]:
        raise Refused(MISSED, "division by zero")
    for part in reversed(statement.parts):
        if part not in MUST_MATCH:
            yield from FUNCTIONS[part](made, columns[part])
    return [(1,)]


def require_text(arguments: Sequence[Any]) -> None:
    """Check that a server takes each text.

    Raises:
        Refused: It does not take one of them.
    """
    for column in arguments:
        for value in column if isinstance(column, list) else (column,):
            if isinstance(value, str) and "\0" in value:
                raise Refused("22021", 'invalid byte sequence for encoding "UTF8": 0x00')


# The log.


def _forget(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    log, work = made.scene.tables["log"], made.scene.work
    for key in dict.fromkeys(columns[0]):
        for version in work.find(log, log.places("key"), key):
            yield from work.delete(version)
    return 0


def _log(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    log, work = made.scene.tables["log"], made.scene.work
    for row in zip(*columns, strict=True):
        yield from work.insert(log, row)
    return 0


def _receipt(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    log, work = made.scene.tables["log"], made.scene.work
    position = log.at["position"]
    for key, at in zip(*columns, strict=True):
        for version in work.find(log, log.places("key"), key):
            if version.row[position] < at:
                yield from work.delete(version)
        yield from work.insert(log, (key, at, 0, b""))
    return 0


# Actors.


def _create(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    actors, work = made.scene.tables["actors"], made.scene.work
    for row in zip(*columns, strict=True):
        yield from work.insert(actors, row)
    return 0


def _replace(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    actors, work = made.scene.tables["actors"], made.scene.work
    rows = list(zip(*columns, strict=True))
    for old, *row in rows:  # `anew_` is behind `replace_`, and so before it
        if not work.find(actors, actors.keys[0], old):
            yield from work.insert(actors, tuple(row))
    for old, *row in rows:
        for version in work.find(actors, actors.keys[0], old):
            yield from work.update(version, partial(_instead, tuple(row)), strength=Strength.UPDATE)
    return 0


def _instead(new: Row, old: Row) -> Row:
    return new


def _update(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    return (yield from _changed(made, zip(*columns, strict=True)))


def _changed(made: Committing, rows: Any) -> Waiting[int]:
    """Change the records, marks and facets of actors, and return their number."""
    actors, work = made.scene.tables["actors"], made.scene.work
    record_at, active_at, kind_at = actors.at["record"], actors.at["active"], actors.at["kind"]
    matched = 0
    for key, record, active, *facets in rows:
        change = _change_of(record_at, active_at, kind_at, record, active, facets)
        for version in work.find(actors, actors.keys[0], key):
            matched += (yield from work.update(version, change)) is not None
    return matched


def _change_of(
    record_at: int, active_at: int, kind_at: int, record: bytes | None, active: bool | None, facets: Sequence[Any]
) -> Callable[[Row], Row]:
    def change(row: Row) -> Row:
        new = list(row)
        if record is not None:
            new[record_at] = record
        if active is not None:
            new[active_at] = active
        if facets:
            new[kind_at : kind_at + len(FACETS)] = facets
        return tuple(new)

    return change


def _unmark(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    actors, work = made.scene.tables["actors"], made.scene.work
    active_at = actors.at["active"]
    for key in dict.fromkeys(columns[0]):
        for version in work.find(actors, actors.keys[0], key):
            if version.row[active_at]:
                yield from work.update(
                    version, lambda row: actors.changed(row, active=False), lambda row: bool(row[active_at])
                )
    return 0


def _delete(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    actors, work = made.scene.tables["actors"], made.scene.work
    for key in dict.fromkeys(columns[0]):
        for version in work.find(actors, actors.keys[0], key):
            yield from work.delete(version)
    return 0


# Lists.


def _tally(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    tallies, work = made.scene.tables["tallies"], made.scene.work
    for row in zip(*columns, strict=True):
        yield from work.insert(tallies, row)
    return 0


def _before(made: Committing) -> Sequence[Row]:
    """The actors that were listed before: key, kind, when they were created, and tags."""
    actors, work = made.scene.tables["actors"], made.scene.work
    was = actors.getter("key", "kind", "created_us", "tags")
    rows: list[Row] = []
    for key in dict.fromkeys(made.columns["was"][0]):
        rows += [was(version.row) for version in work.find(actors, actors.keys[0], key)]
    return [row for row in rows if row[1] is not None]


def _was(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    yield from ()  # it is a query, and changes nothing
    return 0


def _retally(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    tallies, work = made.scene.tables["tallies"], made.scene.work
    more: Counter[int] = Counter()
    for kind, number in zip(*columns, strict=True):
        more[kind] += number
    for _, kind, _, _ in _before(made):
        more[kind] -= 1
    for kind, number in more.items():
        if number:
            yield from work.insert(tallies, (kind, number))
    return 0


def _tag(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    tags, work = made.scene.tables["tags"], made.scene.work
    for row in zip(*columns, strict=True):
        yield from work.insert(tags, row, or_nothing=True)
    return 0


def _untag(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    tags, work = made.scene.tables["tags"], made.scene.work
    kept = set(zip(*columns, strict=True))
    for key, _, created_us, text in _before(made):
        for name, value in json.loads(text) if text is not None else ():
            tag = (name, value, created_us, key)
            if tag not in kept:
                for version in work.find(tags, tags.keys[0], tag):
                    yield from work.delete(version)
    return 0


# Reminders, and the audit.


def _clear(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    reminders, work = made.scene.tables["reminders"], made.scene.work
    key = reminders.places("due_us", "key", "name")
    for each in zip(*columns, strict=True):
        for version in work.find(reminders, key, each):
            yield from work.delete(version)
    return 0


def _set(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    reminders, work = made.scene.tables["reminders"], made.scene.work
    for due_us, key, name, shard in zip(*columns, strict=True):
        row = reminders.row(due_us=due_us, key=key, name=name, shard=shard)
        yield from work.insert(reminders, row, or_nothing=True)
    return 0


def _audit(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    audit, work = made.scene.tables["audit"], made.scene.work
    for at_us, id_, action, author, body in zip(*columns, strict=True):
        row = audit.row(at_us=at_us, id=id_, action=action, author=author, body=body)
        yield from work.insert(audit, row)
    return 0


# Items.


def _put(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    items, work = made.scene.tables["items"], made.scene.work
    for row in zip(*columns, strict=True):
        there = work.find(items, items.keys[0], row[:2])
        if not there:
            yield from work.insert(items, row)
        for version in there:
            yield from work.update(version, partial(_instead, row))
    return 0


def _drop(made: Committing, columns: Sequence[Column]) -> Waiting[int]:
    items, work = made.scene.tables["items"], made.scene.work
    for place in zip(*columns, strict=True):
        for version in work.find(items, items.keys[0], place):
            yield from work.delete(version)
    return 0


FUNCTIONS: Mapping[str, Part] = {
    "forget": _forget, "log": _log, "create": _create, "replace": _replace, "update": _update, "change": _update,
    "unmark": _unmark, "delete": _delete, "tally": _tally, "was": _was, "retally": _retally, "tag": _tag,
    "untag": _untag, "clear": _clear, "set": _set, "audit": _audit, "receipt": _receipt,
    "put": _put, "drop": _drop,
}  # fmt: skip

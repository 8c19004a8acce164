"""Programs of statements: several sessions with one server, which commit, kill, wait for each other and are ended.

A step names a session, and what it does. Whoever runs a program leaves out the steps that cannot be taken: a session
that waits takes none, and while one waits the others only read, or end what it waits for. So the outcome of each step
is certain on a real server too.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from perdure.actors.store.postgres import exporting, statements
from perdure.actors.store.postgres.driver import Statement
from perdure.actors.store.postgres.statements import MUST_MATCH, PARTS, commit_of
from perdure.testing.simulation.machines.database.backend import TIMELINE

SESSIONS = 3
HOSTS = (11, 12)
SHARDS = 4
KEYS = range(1, 7)  # of which a key and the one three behind it have one id
RIGHT, WRONG = TIMELINE, "00000099"


class Ran(NamedTuple):
    """A session runs a statement."""

    session: int
    statement: Statement
    arguments: Sequence[Any]


class Ended(NamedTuple):
    """A session begins or ends a transaction, or is ended by the server."""

    session: int
    how: str  # BEGIN, COMMIT, ROLLBACK, TERMINATE


class Blocking(NamedTuple):
    """A session ends those for whom another one waits."""

    session: int


Step = Ran | Ended | Blocking

BEGIN, COMMIT, ROLLBACK, TERMINATE = "BEGIN", "COMMIT", "ROLLBACK", "TERMINATE"

NOW = -1  # the life or the beat that a host has when the step is taken
OF_LIFE = {"commit", "take", "give", "set state", "cut", "uncut", "note", "strike"}  # whose second argument is a life
OF_BEAT = {"kill"}  # whose second argument is a beat

hosts = st.sampled_from((*HOSTS[:1] * 7, *HOSTS[1:]))
lives = st.sampled_from((*(NOW,) * 9, 0, 1))
anyone = st.sampled_from(HOSTS)
beats = st.sampled_from((NOW, NOW, NOW, 0))
timelines = st.sampled_from((RIGHT,) * 7 + (WRONG,))
keys = st.sampled_from(KEYS)
small = st.integers(0, 3)
kinds = st.sampled_from((1, 2))
names = st.sampled_from(("a", "ä", "b"))
item_names = st.sampled_from((b"a", b"\0", "ä".encode()))


def id_of(key: int) -> str:
    return f"id{key % 3}"


@st.composite
def fences(draw: st.DrawFn) -> tuple[Any, ...]:
    return draw(hosts), draw(lives), draw(timelines)


# Commits.


@st.composite
def facets(draw: st.DrawFn) -> tuple[Any, ...]:
    """Six columns; of an actor without facets all are None."""
    if draw(st.booleans()):
        return (None,) * 6
    tags = draw(st.sampled_from((None, '[["a","1"]]', '[["a","1"],["b","2"]]', '[["b","3"]]')))
    return (draw(kinds), draw(small), draw(small), draw(st.none() | small), draw(st.none() | names), tags)


@st.composite
def actors(draw: st.DrawFn) -> dict[str, list[tuple[Any, ...]]]:
    """What a commit does with actors, of which it names none twice."""
    made: dict[str, list[tuple[Any, ...]]] = {}
    ids: set[str] = set()
    was: list[tuple[Any, ...]] = []
    for key in draw(st.lists(keys, unique=True, max_size=3)):
        if id_of(key) in ids:
            continue
        ids.add(id_of(key))
        mark, record = draw(st.booleans()), draw(st.binary(min_size=1, max_size=2))
        row = (key, key % SHARDS, "wf", id_of(key), mark, record)
        match draw(st.sampled_from(("create", "create", "replace", "update", "change", "unmark", "delete"))):
            case "create":
                made.setdefault("create", []).append((*row, *draw(facets())))
            case "replace":
                old = key + 3 if key <= 3 else key - 3
                made.setdefault("replace", []).append((old, *row, *draw(facets())))
                was.append((old,))
            case "update":
                either = draw(st.sampled_from(((record, mark), (None, mark), (record, None))))
                made.setdefault("update", []).append((key, *either))
            case "change":
                made.setdefault("change", []).append((key, record, mark, *draw(facets())))
                was.append((key,))
            case "unmark":
                made.setdefault("unmark", []).append((key,))
            case _:
                made.setdefault("delete", []).append((key,))
                was.append((key,))
    counted = draw(st.booleans())
    if was and counted:
        made["was"] = was
        made["retally"] = draw(st.lists(st.tuples(kinds, st.integers(1, 2)), max_size=2))
        kept = [each[0] for each in was if draw(st.booleans())]
        made["untag"] = [("a", "1", draw(small), key) for key in kept]
    return made


rows: dict[str, st.SearchStrategy[Any]] = {
    "forget": st.lists(st.tuples(keys), unique=True, min_size=1, max_size=2),
    "log": st.lists(
        st.tuples(keys, st.integers(1, 6), small, st.binary(max_size=2)),
        unique_by=lambda row: row[:2], min_size=1, max_size=3,
    ),
    "tally": st.lists(st.tuples(kinds, st.integers(1, 2)), min_size=1, max_size=2),
    "tag": st.lists(
        st.tuples(names, st.sampled_from("123"), small, keys), unique=True, min_size=1, max_size=2
    ),
    "clear": st.lists(st.tuples(small, keys, names), unique=True, min_size=1, max_size=2),
    "set": st.lists(st.tuples(small, keys, names, small), unique_by=lambda row: row[:3], min_size=1, max_size=2),
    "put": st.lists(
        st.tuples(keys, item_names, st.integers(1, 3), st.integers(0, 2), st.binary(max_size=1)),
        unique_by=lambda row: row[:2], min_size=1, max_size=2,
    ),
    "drop": st.lists(st.tuples(keys, item_names), unique=True, min_size=1, max_size=2),
    "audit": st.lists(
        st.tuples(small, names, names, st.sampled_from(("ann", "nul\0")), st.binary(max_size=1)),
        min_size=1, max_size=1,
    ),
    "receipt": st.lists(st.tuples(hosts.map(lambda host: -host), st.integers(1, 9)), min_size=1, max_size=1),
}  # fmt: skip


@st.composite
def commits(draw: st.DrawFn) -> tuple[Statement, Sequence[Any]]:
    made = draw(actors())
    # A part that deletes and one that makes do not name the same row, as in the store's own commits.
    some = draw(st.lists(st.sampled_from(sorted(rows)), unique=True, max_size=3))
    exclusive = [{"forget", "log"}, {"put", "drop"}, {"clear", "set"}, {"tag", "untag"}]
    for part in some:
        others = {other for pair in exclusive if part in pair for other in pair - {part}}
        if not others & (made.keys() | set(some[: some.index(part)])):
            made[part] = draw(rows[part])
    parts = tuple(part for part in PARTS if part in made)
    arguments: list[Any] = [*draw(fences())]
    for part in parts:
        columns = [list(column) for column in zip(*made[part], strict=True)]
        arguments += columns or [[] for _ in PARTS[part][0]]
    matched = sum(len(made[part]) for part in MUST_MATCH if part in made)
    if matched:
        arguments.append(matched + draw(st.sampled_from((0,) * 9 + (1,))))
    return commit_of(parts), arguments


# All statements.

Drawn = Callable[[st.DrawFn], Sequence[Any]]


def _asked(draw: st.DrawFn) -> Sequence[Any]:
    ids = draw(st.lists(st.sampled_from(("id0", "id1", "id2", "none")), unique=True, max_size=3))
    return ["wf"] * len(ids), ids


def _shards(draw: st.DrawFn) -> Sequence[Any]:
    shards = draw(st.lists(small, unique=True, min_size=1, max_size=3))
    return *draw(fences()), shards, [draw(st.integers(0, 2)) for _ in shards]


def _gifts(draw: st.DrawFn) -> Sequence[Any]:
    shards = draw(st.lists(small, unique=True, min_size=1, max_size=3))
    return *draw(fences()), shards, [draw(anyone) for _ in shards], [draw(st.integers(0, 2)) for _ in shards]


def _kinds(draw: st.DrawFn) -> Sequence[Any]:
    found = draw(st.lists(st.tuples(names, names, names, st.booleans()), unique=True, min_size=1, max_size=2))
    return [list(column) for column in zip(*found, strict=True)]


def _reminders(draw: st.DrawFn) -> Sequence[Any]:
    shards = draw(st.none() | st.lists(small, unique=True).map(sorted))
    return draw(st.integers(-1, 2)), draw(keys), "a", draw(st.integers(1, 5)), 3, draw(keys), "b", shards


def _entries(draw: st.DrawFn) -> Sequence[Any]:
    found = draw(st.lists(st.tuples(keys, st.integers(1, 6)), unique=True, min_size=1, max_size=3))
    return [list(column) for column in zip(*found, strict=True)]


def _items(draw: st.DrawFn) -> Sequence[Any]:
    found = draw(st.lists(st.tuples(keys, item_names, st.integers(0, 4)), min_size=1, max_size=3))
    return [list(column) for column in zip(*found, strict=True)]


def _notes(draw: st.DrawFn) -> Sequence[Any]:
    """Notes that are struck, and others that are put."""
    named = st.tuples(names, st.sampled_from(("id1", "id2")), st.sampled_from(("", "a")))
    named_ones = draw(st.lists(named, unique=True, min_size=1, max_size=4))
    gone = [key for key in named_ones if draw(st.booleans())]
    put = [
        (*key, draw(st.integers(-1, 2)), draw(small), draw(st.sampled_from((None, 0.5))), draw(small), 0, 0, 0.25, True)
        for key in named_ones
        if key not in gone
    ]
    columns = [*([row[at] for row in gone] for at in range(3)), *([row[at] for row in put] for at in range(11))]
    return *draw(fences()), *columns


STATEMENTS: dict[Statement, Drawn] = {
    statements.REVIVE: lambda draw: (draw(hosts),),
    statements.FIND_ENTRY: lambda draw: (draw(keys), draw(st.integers(1, 6))),
    statements.MISSING_ENTRIES: _entries,
    statements.MISSING_ITEMS: _items,
    statements.LOOK_AT_HOST: lambda draw: (draw(hosts),),
    statements.JOIN: lambda draw: (
        draw(hosts),
        draw(st.sampled_from((0, 2))),
        "name",
        "place",
        draw(st.sampled_from(("", "a:1"))),
        "1",
        1,
        2,
        draw(st.sampled_from((0, 1))),  # of which 0 is refused
        draw(st.sampled_from(([], ["a"], ["a", "b"]))),
    ),
    statements.SET_STATE: lambda draw: (*draw(fences()), draw(st.sampled_from((0, 1)))),
    statements.SERVE: lambda draw: (draw(hosts), draw(st.sampled_from((0, 1)))),
    statements.HOSTS: lambda draw: (),
    statements.BEAT: lambda draw: (draw(hosts),),
    statements.LOOK: lambda draw: (draw(hosts),),
    statements.KILL: lambda draw: (draw(hosts), draw(beats)),
    statements.LEAVE: lambda draw: (draw(hosts),),
    statements.SHARDS: lambda draw: (),
    statements.TAKE: _shards,
    statements.GIVE: _gifts,
    statements.SOME_SHARDS: lambda draw: (draw(st.lists(small, unique=True)),),
    statements.NOTE: _notes,
    statements.FLIGHTS: lambda draw: (),
    statements.STRIKE: _shards,
    statements.CUTS: lambda draw: (),
    statements.CUT: lambda draw: (*draw(fences()), draw(anyone)),
    statements.UNCUT: lambda draw: (*draw(fences()), draw(anyone)),
    statements.MAKE_SECRET: lambda draw: (draw(names), draw(st.binary(max_size=1))),
    statements.REPLACE_SECRET: lambda draw: (draw(names), draw(st.binary(max_size=1))),
    statements.SECRET: lambda draw: (draw(names),),
    statements.TAKE_KEYS: lambda draw: (draw(st.integers(1, 5)),),
    statements.ADD_KINDS: _kinds,
    statements.KINDS: lambda draw: (),
    statements.FOLD_TALLIES: lambda draw: (),
    statements.THIN_AUDIT: lambda draw: (draw(small), draw(st.integers(1, 2))),
    statements.ANY_ACTOR: lambda draw: (),
    statements.SET_COPYING: lambda draw: (draw(small),),
    statements.LOAD: _asked,
    statements.INSPECT: _asked,
    statements.ITEMS: lambda draw: ("wf", id_of(draw(keys)), draw(st.lists(item_names, unique=True))),
    statements.EXPIRING: lambda draw: ("wf", id_of(draw(keys)), draw(st.integers(1, 3))),
    statements.FIND_KEY: lambda draw: ("wf", id_of(draw(keys))),
    statements.IDS: lambda draw: ("wf", draw(st.integers(1, 3))),
    statements.IDS_BEHIND: lambda draw: ("wf", draw(st.integers(1, 3)), id_of(draw(keys))),
    statements.ACTIVE: lambda draw: (draw(st.none() | st.lists(small, unique=True)),),
    statements.REMINDERS: _reminders,
    exporting.PAGE: lambda draw: (draw(small), draw(st.integers(1, 3))),
    exporting.LOGS: lambda draw: (draw(st.lists(keys, unique=True)),),
    exporting.ITEMS_PAGE: lambda draw: (draw(small), draw(item_names), draw(st.integers(1, 3))),
    exporting.AUDIT: lambda draw: (draw(small), draw(st.integers(1, 3))),
}
# Those that the programs have in other ways, or that only a copy's transaction has.
APART = {
    "commit", "backend", "end blocking", "begin reading", "end reading", "timers", "next timers", "close timers",
}  # fmt: skip
# They wait for nobody.
READS = {
    "find entry", "missing entries", "missing items", "look at host", "hosts", "look", "shards", "some shards", "cuts",
    "kinds",
    "any actor", "load", "inspect", "find key", "ids", "ids behind", "active", "reminders", "page", "logs",
    "audit page", "tallied", "list", "items", "expiring", "items page",
    "secret", "flights",
}  # fmt: skip
# Whose rows come in an order.
ORDERED = {"flights", "shards", "ids", "ids behind", "reminders", "page", "audit page", "expiring", "items page"}


sessions = st.integers(0, SESSIONS - 1)
endings = st.sampled_from((COMMIT, COMMIT, COMMIT, ROLLBACK, TERMINATE))
# What others do while a transaction is open; most of it has to do with the hosts.
CONFLICTING = [
    statements.KILL, statements.LEAVE, statements.REVIVE, statements.TAKE, statements.BEAT, statements.SERVE,
    statements.JOIN, statements.TAKE_KEYS, statements.ADD_KINDS, statements.FOLD_TALLIES, statements.GIVE,
    statements.SET_STATE, statements.CUT, statements.UNCUT, statements.REPLACE_SECRET, statements.MAKE_SECRET,
    statements.NOTE, statements.STRIKE,
]  # fmt: skip


@st.composite
def ran(draw: st.DrawFn, session: int) -> Ran:
    """A statement, or a commit."""
    what = draw(st.integers(0, 9))
    if what < 4:
        return Ran(session, *draw(commits()))
    statement = draw(st.sampled_from(CONFLICTING if what < 8 else list(STATEMENTS)))
    return Ran(session, statement, STATEMENTS[statement](draw))


@st.composite
def scenes(draw: st.DrawFn) -> list[Step]:
    """A transaction that stays open for a while, and what others do meanwhile; or a few statements."""
    session = draw(sessions)
    if draw(st.integers(0, 3)) == 0:
        return [draw(ran(draw(sessions))) for _ in range(draw(st.integers(1, 3)))]
    made: list[Step] = [Ended(session, BEGIN)]
    made += [draw(ran(session)) for _ in range(draw(st.integers(1, 2)))]
    others = [each for each in range(SESSIONS) if each != session]
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.integers(0, 5)) == 0:
            made.append(Ended(draw(st.sampled_from(others)), draw(st.sampled_from((BEGIN, COMMIT)))))
        made.append(draw(ran(draw(st.sampled_from(others)))))
    if draw(st.integers(0, 5)) == 0:
        made += [Blocking(each) for each in others]
    made.append(Ended(session, draw(endings)))
    made += [Ended(each, COMMIT) for each in others]
    return made


def programs(size: int) -> st.SearchStrategy[list[Step]]:
    """Programs of so many scenes at most, on a store in which a host lives."""
    return st.lists(scenes(), min_size=1, max_size=size).map(lambda found: [step for scene in found for step in scene])


BEGINNING: Sequence[Step] = (
    Ran(0, statements.JOIN, (11, 0, "name", "place", "", "1", 1, 2, 1, [])),
    Ran(0, statements.ADD_KINDS, [["wf", "wf"], ["R", "C"], ["N", "N"], [True, True]]),
)

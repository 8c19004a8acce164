"""The changes of a batch of writes, ordered by row instead of by write, and the commit that makes them.

The rule: no row is changed twice. All parts of a commit see one snapshot, and SQL does not define which of two changes
of a row would win. `actors/store/tables/batch.py` sorts the writes so that the last change wins. An actor that follows
a deleted actor with the same id takes over its row.

Where counts and tags need the present row of an actor, the statement itself looks it up.

`actors/store/postgres/store.py` uses it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from ...address import Address
from ..contract import Write
from ..listing import Facets
from ..presence.acknowledged import NotedItem
from ..tables.auditing import AuditValues
from ..tables.batch import EntryRow, ReminderRow, sorted_batch
from ..tables.checksums import seal_record
from ..tables.facets import tag_rows, tags_of
from ..tables.items import ItemRow
from .kinds import KindNumbers
from .statements import MUST_MATCH, PARTS


@dataclass(slots=True)
class ActorChange:
    """The change of the row of an actor by a batch."""

    key: int
    shard: int
    address: Address
    record: bytes | None = None  # with its checksum
    active: bool | None = None
    facets: Facets | None = None
    before: Facets | None = None  # the facets before, according to a write; None: not known


@dataclass(slots=True)
class RowChanges:
    """The changes of a batch."""

    actors: dict[int, ActorChange] = field(default_factory=dict)
    deleted: dict[int, tuple[Address, Facets | None]] = field(default_factory=dict)  # actors that may be in the store
    logs_forgotten: Sequence[int] = ()
    entries: Sequence[EntryRow] = ()
    reminders_cleared: Sequence[ReminderRow] = ()
    reminders_set: Sequence[tuple[int, int, str, int]] = ()  # and the shard
    audit: Sequence[AuditValues] = ()  # with checksums
    items_put: Sequence[ItemRow] = ()  # with checksums
    items_dropped: Sequence[tuple[int, bytes]] = ()
    born: set[int] = field(default_factory=set)  # keys of actors that the batch creates


def changes_of(writes: Sequence[Write], unborn: Set[int]) -> RowChanges:
    """Sort a batch of writes by rows.

    Args:
        unborn: Keys of actors that the store does not have yet.
    """
    changes = RowChanges()
    actors = changes.actors
    for write in writes:
        if write.delete:
            key = write.key
            change = actors.pop(key, None)
            if key in unborn:
                changes.born.add(key)
            else:
                before = change.before if change is not None and change.before is not None else write.facets_before
                changes.deleted[key] = (write.address, before)
        elif write.record is not None or write.active is not None or write.facets is not None:
            _change(actors, write)
    batch = sorted_batch(writes)
    changes.logs_forgotten = [key for key in batch.logs_forgotten if key not in unborn]
    changes.entries = batch.entries
    changes.reminders_cleared, changes.reminders_set = batch.reminders_cleared, batch.reminders_set
    changes.audit = batch.audit
    changes.items_put, changes.items_dropped = batch.items_put, batch.items_dropped
    return changes


def _change(actors: dict[int, ActorChange], write: Write) -> None:
    change = actors.get(write.key)
    if change is None:
        change = actors[write.key] = ActorChange(write.key, write.shard, write.address)
    if write.record is not None:
        change.record = seal_record(write.key, *write.address, write.record)
    if write.active is not None:
        change.active = write.active
    if write.facets is not None:
        if change.facets is None:
            change.before = write.facets_before
        change.facets = write.facets


# The commit.


class Group:
    """The parts of a commit, with the rows of each.

    Args:
        entries: Rows of the log with their positions.
        unborn: As for `changes_of`.
        kinds: The numbers of all kinds of the batch.
    """

    def __init__(
        self, changes: RowChanges, entries: Sequence[Sequence[Any]], unborn: Set[int], kinds: KindNumbers
    ) -> None:
        self.rows: dict[str, Sequence[Sequence[Any]]] = {}
        self.born = changes.born
        self._kinds = kinds
        self._added: Counter[int] = Counter()  # by kind: how many actors the commit lists
        self._tags: list[Sequence[Any]] = []
        self._before: dict[int, Facets | None] = {}  # by key, of actors that may be listed already
        self._put("forget", [(key,) for key in changes.logs_forgotten])
        self._put("log", entries)
        self._actors(changes, unborn)
        self._lists(changes)
        self._put("clear", changes.reminders_cleared)
        self._put("set", changes.reminders_set)
        self._put("audit", changes.audit)
        self._put("put", changes.items_put)
        self._put("drop", changes.items_dropped)

    @property
    def repeatable(self) -> bool:
        """Whether the commit may happen twice: a second time adds no rows and is not refused."""
        return not self.rows.keys() & {"log", "create", "replace", "tally", "audit"}

    @property
    def tallies(self) -> int:
        """About how many rows of tallies the commit adds."""
        return len(self._added)

    def parts(self) -> tuple[str, ...]:
        """The names of the commit's parts."""
        return tuple(self.rows)

    def arguments(self) -> list[Any]:
        """The columns of all parts, and the number of rows that the commit must find."""
        arguments: list[Any] = []
        for part, rows in self.rows.items():
            arguments += map(list, zip(*rows, strict=True)) if rows else ([] for _ in PARTS[part][0])
        matched = [len(self.rows[part]) for part in MUST_MATCH if part in self.rows]
        return [*arguments, sum(matched)] if matched else arguments

    def give_receipt(self, key: int, position: int) -> None:
        """Add a row by which the commit can be found later."""
        self._put("receipt", [(key, position)])

    def _put(self, part: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self.rows[part] = rows

    def _actors(self, changes: RowChanges, unborn: Set[int]) -> None:
        replaced = {address: key for key, (address, _) in changes.deleted.items()}
        create, replace, update, change = [], [], [], []
        unmark: list[Sequence[Any]] = []
        for each in changes.actors.values():
            if each.key in unborn:
                assert each.record is not None, f"the first write of {each.address} has no record"
                self.born.add(each.key)
                row = (each.key, each.shard, *each.address, bool(each.active), each.record, *self._facets(each))
                old = replaced.pop(each.address, None)
                if old is None:
                    create.append(row)
                else:
                    replace.append((old, *row))
            elif each.facets is not None:
                self._before[each.key] = each.before
                change.append((each.key, each.record, each.active, *self._facets(each)))
            elif each.record is None and each.active is False:
                unmark.append((each.key,))
            else:
                update.append((each.key, each.record, each.active))
        for key, (_, before) in changes.deleted.items():
            self._before[key] = before
        self._put("create", create)
        self._put("replace", replace)
        self._put("update", update)
        self._put("change", change)
        self._put("unmark", unmark)
        gone = set(replaced.values())
        self._put("delete", [(key,) for key in changes.deleted if key in gone])

    def _facets(self, change: ActorChange) -> Sequence[Any]:
        facets = change.facets
        if facets is None:
            return (None,) * 6
        kind = self._kinds.number_of(change.address.type, facets)
        self._added[kind] += 1
        self._tags += tag_rows(change.key, facets.created_us, facets.tags)
        return (kind, facets.created_us, facets.updated_us, facets.ended_us, facets.parent, tags_of(facets))

    def _lists(self, changes: RowChanges) -> None:
        """Count the actors, and keep their tags."""
        added = list(self._added.items())
        if not self._before:
            self._put("tally", added)
            self._put("tag", self._tags)
            return
        self._put("was", [(key,) for key in self._before])
        self.rows["retally"] = added
        if self._tags:
            self.rows["tag"] = self._tags
        if any(before is None or before.tags for before in self._before.values()):
            self.rows["untag"] = self._tags


def items_of(writes: Iterable[Write]) -> Iterator[tuple[int, NotedItem]]:
    """Yield the items that writes change, in order, each with its shard."""
    for write in writes:
        for name, item in write.items:
            yield write.shard, NotedItem(write.key, name.encode(), item.version if item is not None else 0)

"""Copying a store to another one of any kind: each actor with its history, and the audit.

The rule: the source is read and not changed, and no host uses either store meanwhile. Each commit to the target holds
the progress of the copying, so that it goes on after a crash. The target counts as a store once both stores have been
read and compared.

The copies have keys, positions and shards of the target. `cli/stores/copy.py` opens the stores; the sources are in
`actors/store/copying/sqlite_source.py` and `actors/store/postgres/exporting.py`.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple, Protocol

import msgpack
import msgspec

from ...address import Address, shard_of
from ..audit import AuditRow
from ..contract import Item, Store, Stored, Write
from ..errors import StoreFailed
from ..listing import Facets
from ..presence.apps import AppNames, shard_in

# The actor in the target that holds the progress of the copying.
MARK = Address("copying", "copying")
ACTORS_AT_ONCE = 256
BYTES_AT_ONCE = 4 * 2**20
AUDIT_AT_ONCE = 1_000


class CopyPlace(NamedTuple):
    """A place in a source."""

    part: int = 0  # the part of a store in several files
    number: int = -(2**62)  # the key of an actor, or the number of a row of the audit or of an item
    name: str = ""  # the name of an item of that actor, as UTF-8 in hexadecimal, where items have no number


class CopiedActor(NamedTuple):
    """The rows of an actor, apart from its items."""

    address: Address
    record: bytes
    active: bool
    facets: Facets | None
    entries: Sequence[tuple[int, bytes]]  # (time of writing, entry), oldest first
    reminders: Sequence[tuple[str, int]]  # name and due time, in order

    @property
    def size(self) -> int:
        """The bytes of the record and the entries."""
        return len(self.record) + sum(len(entry) for _, entry in self.entries)


class CopiedItem(NamedTuple):
    """An item of an actor."""

    address: Address
    name: str
    item: Item


class CopiedAudit(NamedTuple):
    """A row of the audit."""

    at_us: int
    id: str
    row: AuditRow


class Source(Protocol):
    """A store that is read from its start to its end."""

    @property
    def identity(self) -> str:
        """A text that identifies the store; the texts of different stores differ."""
        ...

    async def apps(self) -> Mapping[str, int]:
        """The apps of the store and their numbers, ordered by number."""
        ...

    def actors(self, behind: CopyPlace) -> AsyncIterator[tuple[CopyPlace, CopiedActor]]:
        """Yield the actors after a place, in order.

        Raises:
            StoreFailed: An actor is damaged, or cannot be read.
        """
        ...

    def items(self, behind: CopyPlace) -> AsyncIterator[tuple[CopyPlace, CopiedItem]]:
        """Yield the items of actors after a place, in order.

        Raises:
            StoreFailed: As for `actors`.
        """
        ...

    def audit(self, behind: CopyPlace) -> AsyncIterator[tuple[CopyPlace, CopiedAudit]]:
        """Yield the rows of the audit after a place, in order."""
        ...


class Totals(NamedTuple):
    """The contents of a store in numbers: counts, and a checksum that does not depend on the order."""

    actors: int = 0
    entries: int = 0
    reminders: int = 0
    items: int = 0
    audit: int = 0
    checksum: int = 0

    def __str__(self) -> str:
        return (
            f"{self.actors:,} instances and other actors, {self.entries:,} entries of histories, "
            f"{self.reminders:,} timers, {self.items:,} saved values, {self.audit:,} rows of the audit"
        )


class CopyProgress(NamedTuple):
    """The progress of a copying."""

    source: str
    actors: CopyPlace = CopyPlace()
    audit: CopyPlace = CopyPlace()
    items: CopyPlace = CopyPlace()

    def record(self) -> bytes:
        """The progress as JSON, as the target keeps it."""
        return json.dumps(self).encode()

    @classmethod
    def of(cls, record: bytes) -> "CopyProgress":
        """Read the progress that `record` has written."""
        source, *places = json.loads(record)
        return cls(source, *(CopyPlace(*place) for place in places))


async def copy(source: Source, target: Store, *, told: Callable[[int], None] = lambda _: None) -> None:
    """Copy the rows that the target does not have yet.

    Args:
        target: An open store that is empty, or that an earlier call has not finished.
        told: Called with the number of actors that this call has copied so far.

    Raises:
        StoreFailed: The target is a copy of another source, or the copying failed.
    """
    apps = await target.enter_apps(AppNames(tuple(await source.apps())))
    fences = await target.claim("copying", now_us=0)
    key, progress = await _begun(source, target)
    copied = 0
    async for batch, place in _batches(source.actors(progress.actors)):
        progress = progress._replace(actors=place)
        writes = [write for actor in batch for write in _writes(actor, target, apps)]
        await target.commit([*writes, _mark(key, progress, target)], fences)
        copied += len(batch)
        told(copied)
    progress = await _copy_items(source, target, key, progress, fences)
    rows: list[CopiedAudit] = []
    async for place, row in source.audit(progress.audit):
        rows.append(row)
        progress = progress._replace(audit=place)
        if len(rows) >= AUDIT_AT_ONCE:
            await target.commit([*_audit(rows, key, target), _mark(key, progress, target)], fences)
            rows.clear()
    if rows:
        await target.commit([*_audit(rows, key, target), _mark(key, progress, target)], fences)


async def _copy_items(
    source: Source, target: Store, key: int, progress: CopyProgress, fences: Mapping[int, int]
) -> CopyProgress:
    """Copy the items that the target does not have yet; their actors were copied before. Returns the progress."""
    batch: list[Write] = []
    size = 0
    owners: dict[Address, int] = {}  # actor -> key; a batch has few actors
    async for place, (address, name, item) in source.items(progress.items):
        if address not in owners:
            (stored,) = await target.load([address])
            if not isinstance(stored, Stored):
                raise StoreFailed(f"{address} has items, and was not copied. Delete the copy, and begin again.")
            owners = {address: stored.key}
        shard = shard_of(address.id, target.shards)
        batch.append(Write(key=owners[address], address=address, shard=shard, at_us=0, items=[(name, item)]))
        size += len(item.value)
        progress = progress._replace(items=place)
        if len(batch) >= ACTORS_AT_ONCE or size >= BYTES_AT_ONCE:
            await target.commit([*batch, _mark(key, progress, target)], fences)
            batch, size = [], 0
    if batch:
        await target.commit([*batch, _mark(key, progress, target)], fences)
    return progress


async def finish(target: Store) -> None:
    """Delete the progress from the target."""
    fences = await target.claim("copying", now_us=0)
    (stored,) = await target.load([MARK])
    if isinstance(stored, Stored):
        shard = shard_of(MARK.id, target.shards)
        await target.commit([Write(key=stored.key, address=MARK, shard=shard, at_us=0, delete=True)], fences)


async def totals_of(source: Source) -> Totals:
    """Read a store to its end."""
    actors = entries = reminders = items = audit = checksum = 0
    async for _, actor in source.actors(CopyPlace()):
        if actor.address == MARK:
            continue
        actors += 1
        entries += len(actor.entries)
        reminders += len(actor.reminders)
        checksum += _checksum(actor)
    async for _, copied in source.items(CopyPlace()):
        items += 1
        checksum += _checksum(copied)
    async for _, row in source.audit(CopyPlace()):
        audit += 1
        checksum += _checksum(row)
    return Totals(actors, entries, reminders, items, audit, checksum % 2**128)


def require_equal(source: Totals, target: Totals) -> None:
    """Compare two stores.

    Raises:
        StoreFailed: They differ.
    """
    if source != target:
        raise StoreFailed(
            f"the copy has {target}, and the source has {source}; or they are not the same. Perhaps the source was "
            "worked on meanwhile. Delete the copy, and begin again."
        )


async def _begun(source: Source, target: Store) -> tuple[int, CopyProgress]:
    """The key of the actor that holds the progress, and the progress."""
    (stored,) = await target.load([MARK])
    if isinstance(stored, Stored):
        progress = CopyProgress.of(stored.record)
        if progress.source != source.identity:
            raise StoreFailed(
                f"the target has the beginning of a copy of {progress.source}, not of {source.identity}. "
                "Delete it first."
            )
        return stored.key, progress
    return target.new_key(), CopyProgress(source.identity)


async def _batches(
    actors: AsyncIterator[tuple[CopyPlace, CopiedActor]],
) -> AsyncIterator[tuple[Sequence[CopiedActor], CopyPlace]]:
    """Yield actors in batches, and the place of the last actor of each batch."""
    batch: list[CopiedActor] = []
    size = 0
    place = CopyPlace()
    async for place, actor in actors:
        batch.append(actor)
        size += actor.size
        if len(batch) >= ACTORS_AT_ONCE or size >= BYTES_AT_ONCE:
            yield batch, place
            batch, size = [], 0
    if batch:
        yield batch, place


def _writes(actor: CopiedActor, target: Store, apps: Mapping[str, int]) -> Iterator[Write]:
    """Yield the writes that make an actor of the target equal to the one read."""
    key, shard = target.new_key(), shard_in(actor.address, apps, shards=target.shards, apart=target.rings_apart)
    at_us, entry = actor.entries[0] if actor.entries else (0, None)
    yield Write(
        key=key,
        address=actor.address,
        shard=shard,
        at_us=at_us,
        entry=entry,
        record=actor.record,
        active=actor.active,
        reminders_set=actor.reminders,
        facets=actor.facets,
    )
    for at_us, entry in actor.entries[1:]:
        yield Write(key=key, address=actor.address, shard=shard, at_us=at_us, entry=entry)


def _audit(rows: Sequence[CopiedAudit], key: int, target: Store) -> Iterator[Write]:
    """Yield the writes of rows of the audit. Their actors may be deleted, so the rows are written without them."""
    for at_us, id_, row in rows:
        address = Address(MARK.type, id_)
        yield Write(key=key, address=address, shard=shard_of(id_, target.shards), at_us=at_us, audit=[row])


def _mark(key: int, progress: CopyProgress, target: Store) -> Write:
    shard = shard_of(MARK.id, target.shards)
    return Write(key=key, address=MARK, shard=shard, at_us=0, record=progress.record())


def _checksum(copied: CopiedActor | CopiedItem | CopiedAudit) -> int:
    packed: bytes = msgpack.packb(_plain(copied))
    return int.from_bytes(blake2b(packed, digest_size=16).digest(), "big")


def _plain(value: object) -> object:
    """A form in which equal lists, tuples and facets compare equal."""
    if isinstance(value, Facets | Item):
        value = msgspec.structs.astuple(value)
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value

"""The rows of the database of several hosts, as a test reads them, without a host between."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from perdure.actors.cluster.membership import name_of_id
from perdure.actors.store.presence.apps import apps_in
from perdure.testing.simulation.hosts.host import SharingLife
from perdure.testing.simulation.hosts.world import HostsWorld
from perdure.testing.simulation.machines.database.tables import Table

SCHEMA = "perdure"


class Owned(NamedTuple):
    """The owner of a shard, as its row says."""

    host: int | None
    epoch: int


def table_of(world: HostsWorld, name: str) -> Table | None:
    """A table; None if there are none yet."""
    tables = world.database.core.schemas.get(SCHEMA)
    return tables[name] if tables is not None else None


def rows_of(world: HostsWorld, name: str, *columns: str) -> list[Any]:
    """Some columns of all rows that are committed."""
    table = table_of(world, name)
    if table is None:
        return []
    wanted = table.getter(*columns)
    # Of a row that a transaction is about to change the old version counts, and the new one does not exist yet.
    return [wanted(each.row) for each in table.all() if each.maker.over and (each.ender is None or not each.ender.over)]


def owners(world: HostsWorld) -> Mapping[int, Owned]:
    """All shards."""
    return {shard: Owned(host, epoch) for shard, host, epoch in rows_of(world, "shards", "shard", "host", "epoch")}


def living(world: HostsWorld) -> set[int]:
    """The ids of all hosts that have a row."""
    return set(rows_of(world, "hosts", "host"))


def lives_up(world: HostsWorld) -> list[SharingLife]:
    """The lives that take requests."""
    return [host.last for host in world.hosts if host.last is not None and host.up]


class Block(NamedTuple):
    """The shards of one app, and the hosts that have it."""

    shards: range
    hosts: frozenset[int]

    def more_than_a_share(self, moved: Collection[int]) -> Sequence[int]:
        """The moved shards of this app beyond the share of one host."""
        own = [shard for shard in moved if shard in self.shards]
        return own[-(-len(self.shards) // len(self.hosts)) :]


def apps_of_store(world: HostsWorld) -> Mapping[str, int]:
    """The apps of the store, with their numbers; none before a host has opened it."""
    return apps_in(rows_of(world, "meta", "name", "value"))


def blocks(world: HostsWorld) -> Sequence[Block]:
    """The shards of each app that a living host has. Shards of another app have no owner, or one that has ended."""
    up = lives_up(world)
    found: list[Block] = []
    for app_id, number in apps_of_store(world).items():
        hosts = frozenset(made.store.host for made in up if app_id in made.apps)
        if hosts:
            found.append(Block(range(number * world.shards, (number + 1) * world.shards), hosts))
    return found


def is_settled(world: HostsWorld) -> bool:
    """Whether each shard is open at the host that its row names, at that epoch, and at no other."""
    found: dict[int, Owned] = {}
    for made in lives_up(world):
        engine = made.life.engine
        assert engine is not None
        host: Any = engine._host
        gate = host._gate
        if host._mailroom.unrecovered or gate.room.shards:
            return False
        for shard in host.placement.owned:
            if shard in gate.opening or shard in gate.closed or shard in found:
                return False
            found[shard] = Owned(made.store.host, host.placement.epoch(shard))
    had = {shard for block in blocks(world) for shard in block.shards}
    rows = {shard: owned for shard, owned in owners(world).items() if shard in had}
    return bool(rows) and found == rows


def is_even(world: HostsWorld) -> bool:
    """Whether of each app no host has two shards more than another one that has it."""
    rows = owners(world)
    for block in blocks(world):
        counts = dict.fromkeys(block.hosts, 0)
        for shard in block.shards:
            owner = rows[shard].host
            if owner not in counts:
                return False
            counts[owner] += 1
        if max(counts.values()) - min(counts.values()) > 1:
            return False
    return True


def picture(world: HostsWorld) -> str:
    """Where the shards are, by their rows and by the hosts, for a failure."""
    rows = (f"{shard}: {name_of_id(each.host or 0)}/{each.epoch}" for shard, each in owners(world).items())
    parts = [", ".join(rows)]
    for made in lives_up(world):
        assert made.life.engine is not None
        host: Any = made.life.engine._host
        gate = host._gate
        parts.append(
            f"{made.membership.me} {made.membership.standing.value} has {sorted(host.placement.owned)}, "
            f"opening {sorted(gate.opening)}, closed {sorted(gate.closed)}, waiting {sorted(gate.room.shards)}, "
            f"to recover {len(host._mailroom.unrecovered)}, sees {sorted(made.membership.others())} "
            f"cuts {made.membership._life.cuts}"
        )
    return "; ".join(parts)

"""What the database of several hosts has, as a test reads it: its rows, and not what a host makes of them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from perdure.actors.cluster.membership import name_of_id
from perdure.testing.simulation.hosts.host import SharingLife
from perdure.testing.simulation.hosts.world import HostsWorld
from perdure.testing.simulation.machines.database.tables import Table

SCHEMA = "perdure"


class Owned(NamedTuple):
    """Whose a shard is, as its row says."""

    host: int | None
    epoch: int


def table_of(world: HostsWorld, name: str) -> Table | None:
    """A table; None: there are none yet."""
    tables = world.database.core.schemas.get(SCHEMA)
    return tables[name] if tables is not None else None


def rows_of(world: HostsWorld, name: str, *columns: str) -> list[Any]:
    """Some columns of all rows that are committed."""
    table = table_of(world, name)
    if table is None:
        return []
    wanted = table.getter(*columns)
    # A row that somebody is about to change is the old one, and what he makes of it is not there yet.
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
    rows = owners(world)
    return bool(rows) and found == rows


def is_even(world: HostsWorld) -> bool:
    """Whether no host has two shards more than another one."""
    counts = {made.store.host: 0 for made in lives_up(world)}
    for owned in owners(world).values():
        if owned.host not in counts:
            return False
        counts[owned.host] += 1
    return max(counts.values()) - min(counts.values()) <= 1


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

"""The invariants of several hosts at rest: E11, E12 and E17 of each, I7 and I8 of all together."""

from collections import Counter
from collections.abc import Collection
from typing import Any

from perdure.actors.store.presence.beats import BEAT_S
from perdure.actors.store.presence.flights import NO_SHARD
from perdure.runtime.engine import Engine
from perdure.testing.simulation.hosts.world import HostsWorld

from ..checks.broken import Broken
from ..checks.rest import check_engine
from .rows import lives_up, owners, rows_of

REST_S = 60.0
# Within this time a beat more or less is no finding: it is under way at the beginning or at the end.
BEATS = REST_S / BEAT_S


async def check_hosts(world: HostsWorld, *, asleep: Collection[str]) -> None:
    """E11, E12, E17, I9: no host has anything to do, and no mark and no note of work under way is left.

    Raises:
        Broken
    """
    await world.sleep(10)
    for made in lives_up(world):
        engine = made.life.engine
        assert engine is not None
        check_engine(engine)
        _check_no_mail(engine, made.membership.me)
    marked = [each.id for each in await lives_up(world)[0].store.active() if each.id not in asleep]
    if marked:
        raise Broken("E11", f"{marked[0]} and {len(marked) - 1} others have the active mark, and have ended")
    under_way = [note for note in rows_of(world, "flights", "id", "what", "shard", "host") if note[2] != NO_SHARD]
    if under_way:
        raise Broken("I9", f"at rest work is noted as under way: {under_way[:3]}")


def _check_no_mail(engine: Engine, name: str) -> None:
    """E12: nothing is on its way to another host, or waits for a shard."""
    host: Any = engine._host
    peers: Any = engine.peers
    kept: dict[str, Any] = {"messages that wait for a shard": list(host._gate.room.shards)}
    for outbound in peers._outbound.values():
        kept[f"messages without a receipt for {outbound.name}"] = list(outbound.posted.values())
        kept[f"requests to {outbound.name}"] = list(outbound._asked.values())
        kept[f"watches at {outbound.name}"] = list(outbound._watches.values())
    for what, found in kept.items():
        if found:
            raise Broken("E12", f"at rest {name} has {what}: {found!r:.300}")


async def check_quiet(world: HostsWorld) -> None:
    """I7, I8: hosts at rest send a beat twice a second, and nothing else; nothing moves.

    Raises:
        Broken
    """
    before, moved = _sent(world), owners(world)
    await world.sleep(REST_S)
    for host, sent in _sent(world).items():
        sent.subtract(before[host])
        found = {name: number for name, number in sent.items() if number}
        if found.keys() != {"beat"} or abs(found["beat"] - BEATS) > 1:
            raise Broken("I7", f"in {REST_S:.0f} s of rest {host} has sent {found}, and {BEATS:.0f} beats are usual")
    if owners(world) != moved:
        raise Broken("I8", f"shards have moved at rest: {moved}, then {owners(world)}")


async def check_alone(world: HostsWorld) -> None:
    """I7: a host that is alone writes nothing.

    Raises:
        Broken
    """
    await world.sleep(10)
    commits, before = world.database.core.ledger.commits, _sent(world)
    await world.sleep(REST_S)
    ((host, sent),) = _sent(world).items()
    sent.subtract(before[host])
    found = {name: number for name, number in sent.items() if number}
    # From time to time it reads whether commits wait for a standby.
    if found.keys() - {"show"} != {"look"} or abs(found["look"] - BEATS) > 1 or found.get("show", 0) > 1:
        raise Broken("I7", f"in {REST_S:.0f} s of rest {host}, which is alone, has sent {found}")
    if world.database.core.ledger.commits != commits:
        raise Broken("I7", f"{host} is alone and at rest, and has written")


def _sent(world: HostsWorld) -> dict[str, Counter[str]]:
    return {made.membership.me: made.store.link.sent.copy() for made in lives_up(world)}

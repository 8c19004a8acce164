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

# For how long hosts are watched at rest; each second costs as much as a second of work. The short time is for usual
# tests: what a host does at rest it does each few seconds, or with each beat.
REST_S, SHORT_REST_S = 60.0, 10.0


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


async def check_quiet(world: HostsWorld, rest_s: float) -> None:
    """I7, I8: hosts at rest send a beat twice a second, and nothing else; nothing moves.

    Args:
        rest_s: For how long they are watched; virtual seconds.

    Raises:
        Broken
    """
    before, moved, beats = _sent(world), owners(world), rest_s / BEAT_S
    await world.sleep(rest_s)
    for host, sent in _sent(world).items():
        sent.subtract(before[host])
        found = {name: number for name, number in sent.items() if number}
        # A beat more or less is under way at the beginning or at the end.
        if found.keys() != {"beat"} or abs(found["beat"] - beats) > 1:
            raise Broken("I7", f"in {rest_s:.0f} s of rest {host} has sent {found}, and {beats:.0f} beats are usual")
    if owners(world) != moved:
        raise Broken("I8", f"shards have moved at rest: {moved}, then {owners(world)}")


async def check_alone(world: HostsWorld, rest_s: float) -> None:
    """I7: a host that is alone writes nothing.

    Args:
        rest_s: For how long it is watched; virtual seconds.

    Raises:
        Broken
    """
    await world.sleep(10)
    commits, before, beats = world.database.core.ledger.commits, _sent(world), rest_s / BEAT_S
    await world.sleep(rest_s)
    ((host, sent),) = _sent(world).items()
    sent.subtract(before[host])
    found = {name: number for name, number in sent.items() if number}
    # From time to time it reads whether commits wait for a standby.
    if found.keys() - {"show"} != {"look"} or abs(found["look"] - beats) > 1 or found.get("show", 0) > 1:
        raise Broken("I7", f"in {rest_s:.0f} s of rest {host}, which is alone, has sent {found}")
    if world.database.core.ledger.commits != commits:
        raise Broken("I7", f"{host} is alone and at rest, and has written")


def _sent(world: HostsWorld) -> dict[str, Counter[str]]:
    return {made.membership.me: made.store.link.sent.copy() for made in lives_up(world)}

"""The plan: which host shall own which shard.

The rule: it is a function of the rows, and gives the same on every host. Shards are spread evenly over the hosts that
take any, to within one, and as few move as can: a host with too many gives some, and the others keep theirs. A plan
of which a part is done leads to a plan of the rest.

`actors/cluster/leased.py` takes and gives what it says.
"""

from collections.abc import Collection, Iterable, Mapping
from operator import itemgetter

from ...store.cluster import HostState

EXACT_MAX = 24  # among more hosts that cannot reach others, a set without cuts is looked for in a simpler way


def plan(
    owners: Mapping[int, int | None], hosts: Mapping[int, HostState], cuts: Collection[tuple[int, int]] = ()
) -> dict[int, int]:
    """Say which shards shall have another owner, and which.

    Args:
        owners: Shard -> the host in its row. None, or one that does not live: it is free.
        hosts: All hosts that live.
        cuts: Pairs of hosts that cannot reach each other.

    Returns:
        Shard -> new owner. Nothing if no host takes shards.
    """
    takers = takers_of(hosts, cuts)
    if not takers:
        return {}
    kept: dict[int, list[int]] = {host: [] for host in sorted(takers)}
    pool: list[int] = []
    for shard, owner in sorted(owners.items(), key=itemgetter(0)):
        (pool if owner is None else kept.get(owner, pool)).append(shard)
    share, more = divmod(len(owners), len(takers))
    # The hosts with most shards may have one more, so that they need not give it.
    by_size = sorted(kept, key=lambda host: (-len(kept[host]), host))
    quotas = {host: share + (i < more) for i, host in enumerate(by_size)}
    for host, shards in kept.items():
        pool += shards[quotas[host] :]
    room = [host for host in sorted(kept) for _ in range(quotas[host] - len(kept[host]))]
    return dict(zip(sorted(pool), _in_turns(room), strict=True))


def plan_apps(
    owners: Mapping[int, int | None],
    hosts: Mapping[int, HostState],
    cuts: Collection[tuple[int, int]],
    *,
    apps: Mapping[int, Collection[int]],
    shards: int,
) -> dict[int, int]:
    """The plan for the shards of each app, which only hosts that have the app may own.

    Args:
        apps: Host -> the numbers of its apps.
        shards: How many each app has. A shard belongs to the app with the number `shard // shards`.
    """
    moves: dict[int, int] = {}
    for number in sorted({shard // shards for shard in owners}):
        own = {shard: owner for shard, owner in owners.items() if shard // shards == number}
        moves |= plan(own, having(number, hosts, apps), cuts)
    return moves


def having(number: int, hosts: Mapping[int, HostState], apps: Mapping[int, Collection[int]]) -> Mapping[int, HostState]:
    """The hosts that have an app."""
    return {host: state for host, state in hosts.items() if number in apps.get(host, ())}


def takers_of(hosts: Mapping[int, HostState], cuts: Collection[tuple[int, int]] = ()) -> frozenset[int]:
    """The hosts that own shards: of the hosts that serve, the largest set in which all reach each other.

    Of two sets of a size it is that with the lowest ids.
    """
    serving = [host for host, state in hosts.items() if state is HostState.SERVING]
    apart: dict[int, set[int]] = {host: set() for host in serving}
    for one, other in cuts:
        if one in apart and other in apart and one != other:
            apart[one].add(other)
            apart[other].add(one)
    cut = frozenset(host for host, others in apart.items() if others)
    return frozenset(serving) - cut | frozenset(_largest(cut, apart))


def _in_turns(hosts: Iterable[int]) -> list[int]:
    """The same hosts, each as often, in turns: neighbours go to different ones."""
    seen: dict[int, int] = {}
    order = []
    for host in hosts:
        seen[host] = seen.get(host, 0) + 1
        order.append((seen[host], host))
    return [host for _, host in sorted(order)]


def _largest(hosts: frozenset[int], apart: Mapping[int, set[int]]) -> tuple[int, ...]:
    """The largest set of hosts of which no two are apart, in order; of two of a size that with the lowest ids."""
    degrees = {host: len(apart[host] & hosts) for host in hosts}
    worst = min(hosts, key=lambda host: (-degrees[host], host), default=None)
    if worst is None or degrees[worst] == 0:
        return tuple(sorted(hosts))
    if len(hosts) > EXACT_MAX:
        worst = max(hosts, key=lambda host: (degrees[host], host))
        return _largest(hosts - {worst}, apart)
    # Either it is in the set, and the hosts that it cannot reach are not; or it is not.
    with_it = tuple(sorted((worst, *_largest(hosts - apart[worst] - {worst}, apart))))
    without = _largest(hosts - {worst}, apart)
    return min(with_it, without, key=lambda found: (-len(found), found))

"""The plan: which host should own which shard.

The rule: the plan is a function of the rows, and every host computes the same plan. Shards are spread evenly over the
hosts that take shards, to within one, with the fewest moves: a host with too many shards gives some, and the others
keep theirs. After a part of a plan was carried out, the next plan is the rest of it.

`actors/cluster/leased.py` takes and gives shards by the plan.
"""

from collections.abc import Collection, Iterable, Mapping
from operator import itemgetter

from ...store.cluster import HostState

EXACT_MAX = 24  # with more hosts that cannot reach others, a simpler search looks for a set without cuts


def plan(
    owners: Mapping[int, int | None], hosts: Mapping[int, HostState], cuts: Collection[tuple[int, int]] = ()
) -> dict[int, int]:
    """The shards that should have another owner, and that owner.

    Args:
        owners: Shard -> the host in its row. If it is None or a dead host, the shard is free.
        hosts: All living hosts.
        cuts: Pairs of hosts that cannot reach each other.

    Returns:
        Shard -> new owner. Empty if no host takes shards.
    """
    takers = takers_of(hosts, cuts)
    if not takers:
        return {}
    kept: dict[int, list[int]] = {host: [] for host in sorted(takers)}
    pool: list[int] = []
    for shard, owner in sorted(owners.items(), key=itemgetter(0)):
        (pool if owner is None else kept.get(owner, pool)).append(shard)
    share, more = divmod(len(owners), len(takers))
    # The hosts with the most shards may have one more, so that they need not give it away.
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
        shards: How many shards each app has. A shard belongs to the app with the number `shard // shards`.
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
    """The hosts that own shards: among the hosts that serve, the largest set in which all reach each other.

    If two sets have the same size, it is the one with the lowest ids.
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
    """The same hosts, each as often as before, in rotation, so that neighbouring shards get different hosts."""
    seen: dict[int, int] = {}
    order = []
    for host in hosts:
        seen[host] = seen.get(host, 0) + 1
        order.append((seen[host], host))
    return [host for _, host in sorted(order)]


def _largest(hosts: frozenset[int], apart: Mapping[int, set[int]]) -> tuple[int, ...]:
    """The largest set of hosts of which no two are apart, in order; of two equally large sets that with lower ids."""
    degrees = {host: len(apart[host] & hosts) for host in hosts}
    worst = min(hosts, key=lambda host: (-degrees[host], host), default=None)
    if worst is None or degrees[worst] == 0:
        return tuple(sorted(hosts))
    if len(hosts) > EXACT_MAX:
        worst = max(hosts, key=lambda host: (degrees[host], host))
        return _largest(hosts - {worst}, apart)
    # Either the host is in the set, and the hosts that it cannot reach are not; or the host is not in the set.
    with_it = tuple(sorted((worst, *_largest(hosts - apart[worst] - {worst}, apart))))
    without = _largest(hosts - {worst}, apart)
    return min(with_it, without, key=lambda found: (-len(found), found))

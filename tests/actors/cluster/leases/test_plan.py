"""The plan is even, moves as few shards as possible, is the same on every host, and ends under any order of events."""

from collections import Counter
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from perdure.actors.cluster.leases import plan as planning
from perdure.actors.cluster.leases.plan import plan, takers_of
from perdure.actors.store.cluster import HostState

SERVING, LEAVING = HostState.SERVING, HostState.LEAVING

Owners = dict[int, int | None]
Cuts = set[tuple[int, int]]

IDS = st.integers(1, 12)
HOSTS = st.dictionaries(IDS, st.sampled_from([SERVING, SERVING, SERVING, LEAVING]), max_size=8)
# Living owners, dead owners, and no owner.
OWNERS = st.lists(st.one_of(st.none(), IDS), max_size=40).map(lambda owners: dict(enumerate(owners)))
CUTS = st.sets(st.tuples(IDS, IDS), max_size=8)


def counts(owners: Owners, takers: frozenset[int]) -> Counter[int]:
    found = Counter(dict.fromkeys(takers, 0))
    found.update(owner for owner in owners.values() if owner in takers)
    return found


def least_moves(owners: Owners, takers: frozenset[int]) -> int:
    """The smallest number of moves: of shards without an owner, and of shards beyond an even share."""
    sizes = sorted(counts(owners, takers).values(), reverse=True)
    share, more = divmod(len(owners), len(takers))
    over = sum(max(0, size - share - (i < more)) for i, size in enumerate(sizes))
    return len(owners) - sum(sizes) + over


@given(OWNERS, HOSTS, CUTS)
def test_after_the_moves_all_takers_have_as_many_to_within_one(
    owners: Owners, hosts: dict[int, HostState], cuts: Cuts
) -> None:
    takers = takers_of(hosts, cuts)
    moves = plan(owners, hosts, cuts)
    after = owners | moves
    if not takers:
        assert moves == {}
        return
    sizes = counts(after, takers).values()
    assert sum(sizes) == len(owners)
    assert max(sizes) - min(sizes) <= 1
    # After these moves the plan is empty.
    assert plan(after, hosts, cuts) == {}


@given(OWNERS, HOSTS, CUTS)
def test_no_more_shards_move_than_have_to(owners: Owners, hosts: dict[int, HostState], cuts: Cuts) -> None:
    takers = takers_of(hosts, cuts)
    moves = plan(owners, hosts, cuts)
    assert all(owners[shard] != to for shard, to in moves.items())
    assert len(moves) == (least_moves(owners, takers) if takers else 0)


@given(OWNERS, HOSTS, CUTS, st.randoms(use_true_random=False))
def test_it_is_the_same_whatever_the_order_of_the_rows(
    owners: Owners, hosts: dict[int, HostState], cuts: Cuts, chance: "object"
) -> None:
    def shuffled(rows: list[tuple[int, object]]) -> dict[int, object]:
        getattr(chance, "shuffle")(rows)  # noqa: B009  typeshed has no type for it
        return dict(rows)

    others = {shard: owner for shard, owner in shuffled(list(owners.items())).items()}  # noqa: C416
    states = {host: state for host, state in shuffled(list(hosts.items())).items()}  # noqa: C416
    assert plan(others, states, {(b, a) for a, b in cuts}) == plan(owners, hosts, cuts)  # type: ignore[arg-type]


@given(OWNERS, HOSTS, st.data())
def test_a_plan_that_is_done_in_part_leads_to_a_plan_of_the_rest(
    owners: Owners, hosts: dict[int, HostState], data: st.DataObject
) -> None:
    # Each host carries out a part of the moves that it has read, so the moves happen in any order, some at a time.
    steps, left = 0, len(plan(owners, hosts))
    while moves := plan(owners, hosts):
        assert len(moves) == left
        done = data.draw(st.lists(st.sampled_from(sorted(moves)), min_size=1, unique=True))
        owners = owners | {shard: moves[shard] for shard in done}
        left -= len(done)
        steps += 1
    assert left == 0
    assert steps <= len(owners)


@given(st.integers(1, 60), st.lists(st.tuples(st.sampled_from(["join", "die", "leave"]), IDS), max_size=12))
def test_it_ends_under_any_order_of_joins_and_deaths(shards: int, events: list[tuple[str, int]]) -> None:
    owners: Owners = dict.fromkeys(range(shards))
    hosts: dict[int, HostState] = {}
    for what, host in events:
        match what:
            case "join":
                hosts[host] = SERVING
            case "die":
                hosts.pop(host, None)
            case _ if host in hosts:
                hosts[host] = LEAVING
        owners |= plan(owners, hosts)
        assert plan(owners, hosts) == {}
        if takers := takers_of(hosts):
            assert set(owners.values()) <= takers


def test_a_host_that_joins_gets_its_share_from_all_and_nothing_else_moves() -> None:
    owners: Owners = {shard: 1 + shard % 3 for shard in range(12)}
    moves = plan(owners, {1: SERVING, 2: SERVING, 3: SERVING, 4: SERVING})
    assert set(moves.values()) == {4}
    assert Counter(owners[shard] for shard in moves) == {1: 1, 2: 1, 3: 1}


def test_the_shards_of_a_dead_host_go_to_all_others() -> None:
    owners: Owners = {shard: 1 + shard % 3 for shard in range(12)}
    moves = plan(owners, {1: SERVING, 2: SERVING})
    assert {owners[shard] for shard in moves} == {3}
    assert Counter(moves.values()) == {1: 2, 2: 2}


def test_one_that_leaves_gives_all_and_gets_nothing() -> None:
    owners: Owners = {shard: 1 + shard % 2 for shard in range(10)}
    hosts = {1: SERVING, 2: LEAVING}
    assert plan(owners, hosts) == {shard: 1 for shard in owners if owners[shard] == 2}
    # When all leave, no host takes shards: the last one keeps its own.
    assert plan(owners, {1: LEAVING, 2: LEAVING}) == {}


# Cuts.


@given(st.sets(IDS, min_size=1, max_size=7), CUTS)
def test_the_takers_are_the_largest_set_without_a_cut_and_of_two_that_with_the_lowest_ids(
    ids: set[int], cuts: Cuts
) -> None:
    def whole(group: tuple[int, ...]) -> bool:
        return not any((a, b) in cuts or (b, a) in cuts for a, b in combinations(group, 2))

    groups = [group for size in range(len(ids) + 1) for group in combinations(sorted(ids), size) if whole(group)]
    best = min(groups, key=lambda group: (-len(group), group))
    assert takers_of(dict.fromkeys(ids, SERVING), cuts) == frozenset(best)


def test_one_host_that_the_others_cannot_reach_gives_all() -> None:
    owners: Owners = {shard: 1 + shard % 4 for shard in range(12)}
    moves = plan(owners, dict.fromkeys([1, 2, 3, 4], SERVING), [(2, 1), (2, 3), (4, 2)])
    assert {owners[shard] for shard in moves} == {2}
    assert Counter(moves.values()) == {1: 1, 3: 1, 4: 1}


@given(st.sets(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=400))
def test_many_hosts_with_many_cuts_are_planned_in_time_and_without_a_cut(cuts: Cuts) -> None:
    takers = takers_of(dict.fromkeys(range(1, 61), SERVING), cuts)
    assert takers
    assert not any(a != b and a in takers and b in takers for a, b in cuts)


def test_two_halves_that_cannot_reach_each_other_are_told_apart_although_they_are_many() -> None:
    half = planning.EXACT_MAX
    cuts = {(a, b) for a in range(half) for b in range(half, 2 * half + 1)}
    takers = takers_of(dict.fromkeys(range(2 * half + 1), SERVING), cuts)
    assert not any(a in takers and b in takers for a, b in cuts)
    assert len(takers) >= half

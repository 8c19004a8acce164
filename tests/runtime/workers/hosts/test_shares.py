"""A stream is shared among the hosts within its limit, and each host has a part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.runtime.workers.hosts.shares import MANY, NEAREST, nearest, shares
from perdure.runtime.workers.stream import StreamRoom


@pytest.mark.parametrize(
    ("hosts", "own", "others"),
    [
        (1, (80, 20), (80, 20)),
        (2, (40, 10), (40, 10)),
        (3, (28, 8), (26, 6)),
        (4, (20, 5), (20, 5)),
        (30, (22, 1), (2, 1)),
        (200, (1, 1), (1, 1)),
    ],
)
def test_the_windows_of_a_stream_are_divided(hosts: int, own: tuple[int, int], others: tuple[int, int]) -> None:
    assert shares(StreamRoom(80, 20), hosts) == (StreamRoom(*own), StreamRoom(*others))


@given(st.integers(1, 100), st.integers(1, 100), st.integers(1, 300))
def test_no_window_is_exceeded_as_long_as_it_has_a_place_for_each_host(activities: int, turns: int, hosts: int) -> None:
    own, others = shares(StreamRoom(activities, turns), hosts)
    assert min(*own, *others) >= 1
    assert own.activities + others.activities * (hosts - 1) <= max(activities, hosts)
    assert own.turns + others.turns * (hosts - 1) <= max(turns, hosts)


def test_a_host_uses_all_streams_while_they_are_few() -> None:
    streams = [f"s{n}" for n in range(MANY)]
    assert list(nearest("me", streams)) == streams


def test_of_many_streams_a_host_uses_some_and_all_hosts_together_nearly_all() -> None:
    streams = [f"s{n}" for n in range(1000)]
    chosen = {host: set(nearest(f"host-{host}", streams)) for host in range(100)}
    assert {len(each) for each in chosen.values()} == {NEAREST}
    assert len(set().union(*chosen.values())) > 0.99 * len(streams)


def test_a_stream_that_goes_changes_the_choice_by_one() -> None:
    streams = [f"s{n}" for n in range(1000)]
    before = set(nearest("me", streams))
    after = set(nearest("me", [each for each in streams if each != min(before)]))
    assert len(before - after) == len(after - before) == 1

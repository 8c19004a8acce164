"""Jobs of other hosts go to a worker once and in order, and these hosts wait while the worker has too many."""

import anyio
import pytest

from perdure.runtime.workers.items import PassedItem
from perdure.runtime.workers.passed import BYTES_MAX, WAIT_MAX_S, PassedItems
from perdure.testing.virtual_time import run_virtually


def item(token: str, size: int = 1) -> PassedItem:
    return PassedItem("i", 1, "a", token, b"x" * size)


def tokens(passed: PassedItems) -> list[str]:
    """All items that it gives; this host has none of its own."""
    found = []
    while (taken := passed.take() or passed.take()) is not None:
        found.append(taken.token)
    return found


@pytest.mark.parametrize(
    ("deliveries", "given"),
    [
        ([("h", "l", 1, "a"), ("h", "l", 2, "b")], ["a", "b"]),
        # The same once more, because its answer was lost.
        ([("h", "l", 1, "a"), ("h", "l", 1, "a"), ("h", "l", 2, "b")], ["a", "b"]),
        ([("h", "l", 1, "a"), ("h", "l", 2, "b"), ("h", "l", 1, "a")], ["a", "b"]),
        # Two hosts number by themselves,
        ([("h", "l", 1, "a"), ("g", "m", 1, "b")], ["a", "b"]),
        # and a host that has given up its entry has given the jobs of it to others.
        ([("h", "l", 1, "a"), ("g", "m", 1, "b"), ("h", "n", 1, "c")], ["b", "c"]),
    ],
)
def test_a_delivery_counts_once(deliveries: list[tuple[str, str, int, str]], given: list[str]) -> None:
    passed = PassedItems(lambda: None)
    for host, lease, number, token in deliveries:
        passed.receive(host, lease, number, [item(token)])
    assert tokens(passed) == given


def test_every_other_item_is_one_of_this_host() -> None:
    passed = PassedItems(lambda: None)
    passed.receive("h", "l", 1, [item("a"), item("b")])
    taken = [passed.take() for _ in range(4)]
    assert [each and each.token for each in taken] == ["a", None, "b", None]


def test_what_hosts_that_are_gone_have_passed_on_is_forgotten() -> None:
    passed = PassedItems(lambda: None)
    passed.receive("h", "l", 1, [item("a")])
    passed.receive("g", "m", 1, [item("b")])
    passed.keep(["g"])
    assert tokens(passed) == ["b"]


@pytest.mark.parametrize("sizes", [[BYTES_MAX], [BYTES_MAX + 1], [BYTES_MAX, 1]])
def test_a_host_waits_for_room_but_not_for_long(sizes: list[int]) -> None:
    async def main() -> None:
        passed = PassedItems(lambda: None)
        passed.receive("h", "l", 1, [item(str(n), size) for n, size in enumerate(sizes)])
        began_s = anyio.current_time()
        await passed.wait_for_room()
        waits = sum(sizes) > BYTES_MAX
        assert anyio.current_time() - began_s == (WAIT_MAX_S if waits else 0)

    run_virtually(main)


def test_a_host_goes_on_as_soon_as_there_is_room() -> None:
    async def main() -> None:
        passed = PassedItems(lambda: None)
        passed.receive("h", "l", 1, [item("a", BYTES_MAX), item("b", BYTES_MAX)])
        async with anyio.create_task_group() as tasks:
            began_s = anyio.current_time()
            tasks.start_soon(passed.wait_for_room)
            await anyio.sleep(0.5)
            assert passed.take() is not None
        assert anyio.current_time() - began_s == 0.5

    run_virtually(main)


def test_a_host_delivers_under_its_lease_until_the_connection_to_it_is_lost() -> None:
    passed = PassedItems(lambda: None)
    passed.receive("host-0", "first", 1, [])
    assert passed.is_live("host-0", "first")
    assert not passed.is_live("host-0", "other")
    passed.cut("host-0")
    assert not passed.is_live("host-0", "first")
    # The next process of the host has another lease.
    passed.receive("host-0", "second", 1, [])
    assert (passed.is_live("host-0", "first"), passed.is_live("host-0", "second")) == (False, True)

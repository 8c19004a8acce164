"""A watch keeps the newest record and wakes its watcher."""

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.waiting.watch import Watch, Watches

pytestmark = pytest.mark.anyio


async def test_news_before_the_wait_is_not_missed_and_only_the_newest_counts() -> None:
    watch = Watch()
    watch.committed(b"1", deleted=False)
    watch.committed(b"2", deleted=False)
    with anyio.fail_after(5):
        await watch.changed()
    assert watch.record == b"2"


async def test_a_deletion_is_news_and_leaves_the_last_record() -> None:
    watch = Watch()
    watch.committed(b"1", deleted=False)
    watch.committed(None, deleted=True)
    await watch.changed()
    assert watch.deleted
    assert watch.record == b"1"


async def test_a_watcher_can_be_woken_without_news() -> None:
    watch = Watch()
    watch.wake()
    await watch.changed()
    assert watch.record is None
    assert not watch.deleted


async def test_a_watcher_is_woken_when_something_may_have_been_missed() -> None:
    watch = Watch()
    watch.lose()
    await watch.changed()
    assert watch.lost
    assert watch.record is None


def test_the_watches_of_an_actor_are_listed_while_there_are_any() -> None:
    watches, address = Watches(), Address("counter", "a")
    one, other = Watch(), Watch()
    watches.add(address, one)
    watches.add(address, other)
    assert watches == {address: [one, other]}
    watches.remove(address, one)
    watches.remove(address, other)
    assert watches == {}


async def test_all_watchers_wake_when_the_host_stops() -> None:
    watches, watch = Watches(), Watch()
    watches.add(Address("counter", "a"), watch)
    watches.wake()
    await watch.changed()
    assert (watch.record, watch.deleted, watch.lost) == (None, False, False)

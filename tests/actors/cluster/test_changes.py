"""Readers of the feed get each change in its order, or a note that they have missed one; nothing waits for them."""

import anyio
import anyio.lowlevel
import pytest

from perdure.actors.address import Address
from perdure.actors.cluster.changes import Change, ChangeFeed, Place, Ring, SharedSignal
from perdure.actors.store.listing import Facets

from ...support.actors.counter_actor import Add, Forget, Show, counter
from ...support.actors.one_host import World
from ...support.actors.several_hosts import Daemon, several_hosts


def change(number: int) -> Change:
    return Change(Address("counter", str(number)), Facets("Count", "RUNNING", number, number), b"")


def numbers(ring: Ring, place: Place, limit: int = 100) -> tuple[list[str], Place]:
    news = ring.behind(place, limit=limit)
    assert not news.missed
    return [each.address.id for each in news.changes], news.place


def test_a_reader_sees_what_comes_behind_its_place_and_no_more() -> None:
    ring = Ring(SharedSignal(), size=4)
    with ring.reading():
        # Given a reader behind two changes,
        ring.publish(change(1))
        place = ring.place
        # when others come, then it sees them in parts, and then nothing.
        for number in (2, 3, 4):
            ring.publish(change(number))
        seen, place = numbers(ring, place, limit=2)
        more, place = numbers(ring, place, limit=2)
        assert (seen, more, numbers(ring, place)) == (["2", "3"], ["4"], ([], ring.place))


def test_a_reader_that_is_too_slow_learns_that_it_has_missed_something() -> None:
    ring = Ring(SharedSignal(), size=4)
    with ring.reading():
        place = ring.place
        for number in range(4):
            ring.publish(change(number))
        assert numbers(ring, place)[0] == ["0", "1", "2", "3"]
        ring.publish(change(4))
        news = ring.behind(place, limit=100)
        assert (news.missed, news.changes, news.place) == (True, (), ring.place)


@pytest.mark.parametrize("place", [Place("", 0), Place("another", 0), Place("same", 3), Place("same", -1)])
def test_a_place_that_the_ring_does_not_know_is_missed(place: Place) -> None:
    ring = Ring(SharedSignal(), size=4)
    with ring.reading():
        ring.restart(Place("same", 0))
        ring.publish(change(0))
        assert ring.behind(place, limit=100).missed


def test_a_ring_that_began_anew_in_the_middle_does_not_know_what_was_before() -> None:
    ring = Ring(SharedSignal(), size=4)
    with ring.reading():
        ring.restart(Place("other", 100))
        ring.publish(change(100))
        assert ring.behind(Place("other", 99), limit=100).missed
        assert numbers(ring, Place("other", 100))[0] == ["100"]


def test_a_reader_that_comes_back_soon_has_missed_nothing_and_later_the_ring_is_closed() -> None:
    # Given a ring that had a reader,
    ring = Ring(SharedSignal(), size=4)
    with ring.reading():
        place = ring.place
    # when it comes back after a few changes,
    for number in range(4):
        ring.publish(change(number))
    with ring.reading():
        # then it sees them;
        assert numbers(ring, place)[0] == ["0", "1", "2", "3"]
        place = ring.place
    # when it stays away for longer, then nothing is kept any more,
    for number in range(5):
        ring.publish(change(number))
    assert not ring.open
    # and it begins again.
    with ring.reading():
        assert ring.behind(place, limit=100).missed


def test_a_ring_without_readers_is_closed() -> None:
    assert not Ring(SharedSignal()).open


# The changes that a host puts into its ring.


def all_of(ring: Ring, place: Place) -> list[tuple[str, str | None, bytes | None, str | None, bool]]:
    found = ring.behind(place, limit=1000).changes
    return [(c.address.id, status(c.facets), c.record, status(c.before), c.created) for c in found]


def status(facets: Facets | None) -> str | None:
    return facets.status if facets is not None else None


@pytest.mark.anyio
async def test_what_changes_in_lists_is_published_after_its_commit_and_nothing_else() -> None:
    async with World().running() as world:
        changes = world.host.changes
        await world.host.ask(counter("a"), Show("BEFORE"))
        async with changes.reading():
            place = changes.own.place
            # When actors come, change, do other things and go,
            await world.host.ask(counter("b"), Show("NEW"))
            await world.host.ask(counter("b"), Add(3))
            await world.host.ask(counter("b"), Show("OLD"))
            await world.host.ask(counter("a"), Forget())
            # then a reader sees the changes that lists show.
            assert all_of(changes.own, place) == [
                ("b", "NEW", b"0", None, True),
                ("b", "OLD", b"3", "NEW", False),
                ("a", None, None, "BEFORE", False),
            ]


@pytest.mark.anyio
async def test_without_a_reader_nothing_is_kept() -> None:
    async with World().running() as world:
        await world.host.ask(counter("a"), Show("NEW"))
        assert world.host.changes.own.place == Place("", 0)


@pytest.mark.anyio
async def test_a_reader_wakes_with_a_change_and_with_the_stop_of_its_host() -> None:
    woken: list[str] = []
    async with anyio.create_task_group() as tasks, World().running() as world:

        async def read() -> None:
            async with world.host.changes.reading() as signal:
                woken.append("reading")
                await signal.wait()
                woken.append("changed")
                while world.host.refusal is None:
                    await signal.wait()
                woken.append("stopping")

        tasks.start_soon(read)
        while not woken:
            await anyio.lowlevel.checkpoint()
        await world.host.ask(counter("a"), Show("NEW"))
        while len(woken) < 2:
            await anyio.lowlevel.checkpoint()
    assert woken == ["reading", "changed", "stopping"]


# Several hosts.

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])  # which the wires need


def ids_of(daemon: Daemon, *, each: int, prefix: str = "c") -> list[str]:
    """Ids of counters, the same number for each host."""
    return [daemon.counter_of(index, f"{prefix}{n}").id for index in range(len(daemon.members)) for n in range(each)]


async def seen(changes: ChangeFeed, places: dict[str, Place], count: int) -> list[str]:
    """Wait until a reader has this number of changes."""
    found: list[str] = []
    async with changes.reading() as signal:
        with anyio.fail_after(10):
            while len(found) < count:
                for name, ring in changes.rings.items():
                    news = ring.behind(places[name], limit=1000)
                    assert not news.missed, name
                    places[name] = news.place
                    found += [change.address.id for change in news.changes]
                if len(found) < count:
                    await signal.wait()
    return found


@pytest.mark.anyio
@on_asyncio
async def test_a_reader_at_any_host_sees_the_changes_of_all() -> None:
    async with several_hosts(3) as daemon:
        # Given a reader at one of three hosts,
        changes = daemon.members[1].host.changes
        ids = ids_of(daemon, each=3)
        async with changes.reading():
            places = {name: ring.place for name, ring in changes.rings.items()}
            # when actors of all hosts change,
            for instance_id in ids:
                await daemon.members[0].host.ask(counter(instance_id), Show("NEW"))
            # then it sees each of them once.
            assert sorted(await seen(changes, places, len(ids))) == sorted(ids)


@pytest.mark.anyio
@on_asyncio
async def test_a_reader_that_comes_back_to_another_host_goes_on_where_it_was() -> None:
    async with several_hosts(2) as daemon:
        first, second = (member.host.changes for member in daemon.members)
        before, after = ids_of(daemon, each=2), ids_of(daemon, each=2, prefix="later")
        async with first.reading():
            places = {name: ring.place for name, ring in first.rings.items()}
            for instance_id in before:
                await daemon.members[0].host.ask(counter(instance_id), Show("NEW"))
            await seen(first, places, len(before))
        for instance_id in after:
            await daemon.members[0].host.ask(counter(instance_id), Show("NEW"))
        assert sorted(await seen(second, places, len(after))) == sorted(after)

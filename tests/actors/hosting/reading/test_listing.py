"""Each host answers with the lists, counts and audits of all hosts, and the next page may come from another host."""

from itertools import cycle

import pytest

from perdure.actors.errors import CursorInvalid, HostUnreachable
from perdure.actors.store.audit import AuditFilter
from perdure.actors.store.listing import Grouped, Listed, ListFilter, Order

from ....support.actors.counter_actor import Show, counter
from ....support.actors.one_host import World
from ....support.actors.several_hosts import several_hosts

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # which the wires need


@pytest.mark.parametrize("order", list(Order))
async def test_a_list_goes_over_all_hosts_and_any_of_them_goes_on_with_it(order: Order) -> None:
    async with several_hosts(3) as daemon:
        # Given actors on every host, begun alternately,
        shown = {daemon.counter_of(index, f"{n}"): n for n in range(4) for index in range(3)}
        for address, n in shown.items():
            await daemon.members[0].host.ask(address, Show("odd" if n % 2 else "even", created_us=n, updated_us=9 - n))
        # when each page is requested from another host,
        found: list[Listed] = []
        cursor: str | None = None
        for member in cycle(daemon.members):
            page = await member.host.lists.list("counter", ListFilter(), order=order, cursor=cursor, limit=5)
            assert len(page.listed) <= 5
            found += page.listed
            if (cursor := page.cursor) is None:
                break
        # then each actor comes once, and in order.
        assert sorted(each.id for each in found) == sorted(address.id for address in shown)
        keys = [each.position.value for each in found]
        assert keys == sorted(keys, reverse=order.descending)


async def test_counts_are_sums() -> None:
    async with several_hosts(3) as daemon:
        for index in range(3):
            for n in range(index + 1):
                await daemon.members[0].host.ask(daemon.counter_of(index, f"{n}"), Show("odd" if n % 2 else "even"))
        for member in daemon.members:
            counted = await member.host.lists.count("counter", ListFilter(), by=["status"])
            assert counted == ([Grouped(("even",), 4), Grouped(("odd",), 2)], False)
            counted = await member.host.lists.count("counter", ListFilter(id_prefix="x"), by=())
            assert counted == ([Grouped((), 0)], False)


async def test_the_audit_is_that_of_all_hosts_and_is_thinned_on_all() -> None:
    async with several_hosts(2) as daemon:
        for index in (0, 1, 0):
            await daemon.members[0].host.ask(daemon.counter_of(index), Show("even", author=f"a{index}"))
        for member in daemon.members:
            page = await member.host.lists.audit(AuditFilter(), cursor=None, limit=2)
            rest = await member.host.lists.audit(AuditFilter(), cursor=page.cursor, limit=9)
            assert [row.author for row in (*page.rows, *rest.rows)] == ["a0", "a1", "a0"]
            only = await member.host.lists.audit(AuditFilter(author="a1"), cursor=None, limit=9)
            assert [row.id for row in only.rows] == [daemon.counter_of(1).id]
        assert await daemon.members[1].host.lists.thin_audit(2**60) == 3
        assert (await daemon.members[0].host.lists.audit(AuditFilter(), cursor=None, limit=9)).rows == []


async def test_a_host_that_is_away_is_an_error_and_no_shorter_list() -> None:
    async with several_hosts(2) as daemon:
        await daemon.members[1].stop()
        lists = daemon.members[0].host.lists
        with pytest.raises(HostUnreachable):
            await lists.list("counter", ListFilter(), order=Order.ID, cursor=None, limit=5)
        with pytest.raises(HostUnreachable):
            await lists.count("counter", ListFilter(), by=())


async def test_one_host_alone_gives_the_lists_of_its_store() -> None:
    async with World().running() as world:
        for name in "abc":
            await world.host.ask(counter(name), Show("even", author="ann"))
        page = await world.host.lists.list("counter", ListFilter(), order=Order.ID, cursor=None, limit=2)
        assert [each.id for each in page.listed] == ["a", "b"]
        page = await world.host.lists.list("counter", ListFilter(), order=Order.ID, cursor=page.cursor, limit=2)
        assert [(each.id, page.cursor) for each in page.listed] == [("c", None)]
        with pytest.raises(CursorInvalid):
            await world.host.lists.list("counter", ListFilter(), order=Order.ID, cursor="~.~", limit=2)
        assert len((await world.host.lists.audit(AuditFilter(), cursor=None, limit=9)).rows) == 3
        assert await world.host.lists.thin_audit(2**60) == 3


async def test_facets_are_in_memory_as_the_store_has_them() -> None:
    async with World().running() as world:
        await world.host.ask(counter("a"), Show("even", created_us=5))
        inspection = await world.host.inspect(counter("a"))
        assert inspection is not None
        assert inspection.facets == (await world.host.read(counter("a"))).facets  # type: ignore[union-attr]
        assert inspection.facets is not None
        assert inspection.facets.created_us == 5

"""A file of an earlier release is filled by key, and records its progress. The host's part: test_enlisting.py."""

from pathlib import Path

import pytest

from perdure.actors.address import Address
from perdure.actors.store.contract import Inspection
from perdure.actors.store.errors import ListsUnfinished
from perdure.actors.store.listing import Facets, ListFilter
from perdure.actors.store.sqlite.maintenance import check

from .....support.actors.sqlite_file import TO_VERSION_3, change, opened, write

pytestmark = pytest.mark.anyio

SHOWN = Facets("Order", "RUNNING", 1, 1, tags=(("k", "v"),))


async def old(path: Path, actors: int) -> None:
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        await store.commit(
            [write(store.new_key(), Address("wf", str(n)), record=b"r", entry=b"e") for n in range(actors)], fences
        )
    for statement in TO_VERSION_3:
        change(path, statement)


async def test_what_is_offered_has_record_and_time_and_no_payloads(path: Path) -> None:
    await old(path, 3)
    change(path, "UPDATE actors SET record = substr(record, 1, 5) || x'00' WHERE id = '1'")
    async with opened(path) as store:
        offered = await store.unlisted(limit=2)
        assert [(each.key, each.address.id, each.outside) for each in offered] == [
            (1, "0", Inspection(b"r", None, None, 1)),
            (2, "1", Inspection(b"", None, None, 1)),  # damaged: the type gives the facets that it knows
        ]
        # A batch that was not committed is offered again.
        assert await store.unlisted(limit=2) == offered


async def test_lists_are_refused_until_the_last_is_taken_and_say_how_far_it_is(path: Path) -> None:
    await old(path, 4)
    for done in (0.0, 0.5):
        async with opened(path) as store:
            with pytest.raises(ListsUnfinished) as unfinished:
                await store.count("wf", ListFilter(), by=())
            assert unfinished.value.done == done
            await store.enlist([(each, SHOWN) for each in await store.unlisted(limit=2)])
    async with opened(path) as store:
        assert await store.unlisted(limit=2) == ()
        for wanted in (ListFilter(), ListFilter(tags={"k": "v"})):
            assert (await store.count("wf", wanted, by=())).groups[0].total == 4
    assert check(path) == []


async def test_actors_of_the_end_that_are_gone_leave_nothing_to_wait_for(path: Path) -> None:
    await old(path, 4)
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        await store.commit(
            [write(4, Address("wf", "3"), delete=True), write(3, Address("wf", "2"), delete=True)], fences
        )
        await store.enlist([(each, SHOWN) for each in await store.unlisted(limit=9)])
        await store.enlist([(each, SHOWN) for each in await store.unlisted(limit=9)])
        assert (await store.count("wf", ListFilter(), by=())).groups[0].total == 2


async def test_an_empty_file_of_an_earlier_release_has_nothing_to_fill(path: Path) -> None:
    await old(path, 0)
    async with opened(path) as store:
        assert await store.unlisted(limit=9) == ()
        assert (await store.count("wf", ListFilter(), by=())).groups[0].total == 0

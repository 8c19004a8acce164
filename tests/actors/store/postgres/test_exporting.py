"""A store is read from start to end in its state at one moment."""

import pytest

from perdure.actors.address import Address
from perdure.actors.store.copying.copying import CopyPlace
from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.postgres import exporting
from perdure.actors.store.postgres.driver import AsyncpgDriver
from perdure.actors.store.postgres.exporting import snapshot_of
from perdure.actors.store.postgres.url import parse_url

from ....support.actors.store_bench import Bench, write

pytestmark = pytest.mark.anyio


async def test_concurrent_writes_are_not_seen(bench: Bench, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "ACTORS_AT_ONCE", 2)
    keys = [bench.store.new_key() for _ in range(6)]
    for i, key in enumerate(keys[:5]):
        await bench.commit(
            write(key, Address("wf", f"{i}"), record=b"r", entry=b"e", reminders_set=[("r", i), ("s", i)])
        )
    found = []
    async with snapshot_of(parse_url(url)) as source:
        async for _, actor in source.actors(CopyPlace()):
            found.append((actor.address.id, actor.entries, actor.reminders))
            await bench.commit(write(keys[4], Address("wf", "4"), entry=b"later"))
            if len(found) == 1:
                await bench.commit(write(keys[5], Address("wf", "5"), record=b"r"))
    assert found == [(f"{i}", [(1, b"e")], [("r", i), ("s", i)]) for i in range(5)]


async def test_one_that_is_not_what_was_written_ends_it(bench: Bench, url: str) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, Address("wf", "a"), record=b"r"))
    async with snapshot_of(parse_url(url)) as source:
        await source.session.run(exporting.CLOSE_TIMERS)
    parsed = parse_url(url)
    session = await AsyncpgDriver(parsed).connect({"application_name": "x", "search_path": parsed.schema})
    await session.run_together(["UPDATE actors SET record = 'x'"])
    await session.close()
    with pytest.raises(StoreFailed, match="wf/a is damaged"):
        async with snapshot_of(parse_url(url)) as source:
            async for _ in source.actors(CopyPlace()):
                pass

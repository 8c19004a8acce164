"""The actors of an earlier release come into lists while the host serves, and a crash in between loses nothing."""

import signal
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from perdure.actors.hosting.reading.enlisting import Enlisting
from perdure.actors.store.contract import Unlisted
from perdure.actors.store.errors import ListsUnfinished, StoreFailed
from perdure.actors.store.listing import Facets, ListFilter, Order
from perdure.actors.store.sqlite.maintenance import check
from perdure.actors.store.sqlite.store import SqliteStore
from perdure.testing.passing_store import PassingStore

from ....support.actors.counter_actor import Add, Forget, Read, Show, counter
from ....support.actors.one_host import World
from ....support.actors.sqlite_file import TO_VERSION_3, opened, write
from ....support.paths import ROOT

pytestmark = pytest.mark.anyio

NAMES = [f"{n:03}" for n in range(250)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A store of version 3 with many counters; each has the number in its name as its record."""
    path = tmp_path / "old.db"
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        await store.commit(
            [write(store.new_key(), counter(name), record=str(n).encode(), entry=b"e") for n, name in enumerate(NAMES)],
            fences,
        )
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in TO_VERSION_3:
            connection.execute(statement)
    return path


class Slow(PassingStore):
    """A store whose fill waits at a gate before each commit, and may fail."""

    def __init__(self, path: Path) -> None:
        super().__init__(SqliteStore(path))
        self.gate = anyio.Event()
        self.reached = anyio.Event()
        self.failures = 0
        self.batches: list[int] = []

    async def enlist(self, found: Sequence[tuple[Unlisted, Facets | None]]) -> None:
        self.reached.set()
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise StoreFailed("on purpose")
        await self.inner.enlist(found)
        self.batches.append(len(found))


async def listed(store: PassingStore | SqliteStore) -> dict[str, str]:
    page = await store.list("counter", ListFilter(), order=Order.ID, cursor=None, limit=500)
    return {each.id: each.facets.status for each in page.listed}


EXPECTED = {name: "odd" if n % 2 else "even" for n, name in enumerate(NAMES)}


async def finished(store: PassingStore) -> None:
    while await store.unlisted(limit=1):
        await anyio.sleep(0.001)


async def test_a_host_serves_meanwhile_and_what_its_turns_say_is_newer(path: Path) -> None:
    store = Slow(path)
    world = World(store)
    async with world.running():
        await store.reached.wait()
        # While a batch is on its way, lists say that they are not complete,
        with pytest.raises(ListsUnfinished, match=r"0% are done.*Ask again later"):
            await listed(store)
        with pytest.raises(ListsUnfinished):
            await store.count("counter", ListFilter(), by=())
        # and actors work: one changes, one is deleted, and one begins.
        assert await world.host.ask(counter(NAMES[1]), Read()) == 1
        await world.host.ask(counter(NAMES[1]), Show("special"))
        await world.host.ask(counter(NAMES[2]), Forget())
        await world.host.ask(counter("new"), Show("special"))
        store.gate.set()
        await finished(store)
        expected = EXPECTED | {NAMES[1]: "special", "new": "special"}
        del expected[NAMES[2]]
        assert await listed(store) == expected
        counted = await store.count("counter", ListFilter(), by=["status"])
        assert dict(counted.groups) == {("even",): 124, ("odd",): 124, ("special",): 2}


async def test_it_goes_on_where_it_was_after_a_restart(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Enlisting, "BATCH", 100)
    # Given a host that ends after the first batch,
    store = Slow(path)
    async with World(store).running():
        await store.reached.wait()
        store.gate.set()
        while not store.batches:
            await anyio.lowlevel.checkpoint()
    done = sum(store.batches)
    assert done < len(NAMES)
    # when the next host comes, then it does only the rest.
    store = Slow(path)
    store.gate.set()
    async with World(store).running():
        await finished(store)
        assert await listed(store) == EXPECTED
    assert done + sum(store.batches) == len(NAMES)
    # The third host has nothing to do.
    store = Slow(path)
    async with World(store).running():
        assert await listed(store) == EXPECTED
        assert not store.reached.is_set()


async def test_a_commit_of_the_fill_that_fails_is_tried_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Enlisting, "RETRY_S", 0.001)
    store = Slow(path)
    store.failures = 2
    store.gate.set()
    async with World(store).running():
        await finished(store)
        assert await listed(store) == EXPECTED


async def test_an_actor_whose_type_breaks_is_in_no_list_and_keeps_no_other_from_it(path: Path) -> None:
    store = Slow(path)
    store.gate.set()
    world = World(store)
    world.counters.unreadable = {NAMES[5]}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE actors SET record = x'C1' WHERE id = ?", (NAMES[7],))
    async with world.running():
        await finished(store)
        assert (await listed(store)).keys() == set(NAMES) - {NAMES[7]}
        await world.host.ask(counter(NAMES[6]), Add(1))


KILLED = """
import os, pathlib, signal, sys
import anyio
from perdure.actors.hosting.reading.enlisting import Enlisting
from perdure.actors.store.sqlite.store import SqliteStore
sys.path.insert(0, sys.argv[2])
from tests.support.actors.one_host import World

Enlisting.BATCH = 20

class Killed(SqliteStore):
    async def enlist(self, found):
        await super().enlist(found)
        if self._filling.listed_key >= 100:
            os.kill(os.getpid(), signal.SIGKILL)

async def main():
    async with World(Killed(pathlib.Path(sys.argv[1]))).running():
        await anyio.sleep(30)

anyio.run(main)
"""


async def test_it_goes_on_where_it_was_after_a_kill(path: Path) -> None:
    died = await anyio.run_process([sys.executable, "-c", KILLED, str(path), str(ROOT)], check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    store = Slow(path)
    store.gate.set()
    async with World(store).running():
        await finished(store)
        assert await listed(store) == EXPECTED
    assert sum(store.batches) == len(NAMES) - 100
    assert check(path) == []

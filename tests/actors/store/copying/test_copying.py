"""A store is copied completely to another kind of store; a copy continues after an interruption, and is compared."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from perdure.actors.address import Address, shard_of
from perdure.actors.store.audit import AuditFilter, AuditRow
from perdure.actors.store.contract import Item, Store, Write
from perdure.actors.store.copying import copying
from perdure.actors.store.copying.copying import CopiedActor, CopyPlace, Source
from perdure.actors.store.copying.sqlite_source import SqliteSource
from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.listing import Facets, ListFilter, Order
from perdure.actors.store.postgres.exporting import snapshot_of
from perdure.actors.store.postgres.store import PostgresStore
from perdure.actors.store.sqlite.store import SqliteStore

from ....support.actors.stores import NEWEST, POSTGRES, ServerOf, emptied

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not POSTGRES, reason="there is no PostgreSQL here")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["sqlite to postgres", "postgres to sqlite"])
async def stores(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_server: ServerOf
) -> AsyncIterator[tuple[Store, Store]]:
    """A source and an empty target, both open."""
    url = await emptied(postgres_server(NEWEST), schema="copies")
    sqlite, postgres = SqliteStore(tmp_path / "store.db", shards=16), PostgresStore(url, shards=8)
    pair: tuple[Store, Store] = (sqlite, postgres) if request.param.startswith("sqlite") else (postgres, sqlite)
    async with AsyncExitStack() as stack:
        for store in pair:
            await store.open()
            stack.push_async_callback(store.close)
        yield pair


@asynccontextmanager
async def source_of(store: Store) -> AsyncIterator[Source]:
    if isinstance(store, PostgresStore):
        async with snapshot_of(store.url) as source:
            yield source
    else:
        assert isinstance(store, SqliteStore)
        yield SqliteSource([str(store.path)])


async def fill(store: Store, *, actors: int = 20) -> None:
    """Write actors of all sorts."""
    fences = await store.claim("host", now_us=1)

    def write(address: Address, key: int, **fields: object) -> Write:
        return Write(key=key, address=address, shard=shard_of(address.id, store.shards), **fields)  # type: ignore[arg-type]

    for i in range(actors):
        address, key = Address("wf", f"ü-{i}"), store.new_key()
        facets = Facets("N", "R", i, i + 1, None, "ü-0" if i else None, (("k", f"{i}"),) if i % 2 else ())
        writes = [write(address, key, at_us=i + 7, entry=b"e%d" % i) for i in range(i % 4)]
        first = write(
            address, key, at_us=5, record=b"r%d" % i, entry=None if i % 3 else b"1", active=i % 2 == 1, facets=facets,
            reminders_set=[("b", 9), ("a", i)] if i % 5 == 0 else (), audit=[AuditRow("start", "ann", b"%d" % i)],
        )  # fmt: skip
        await store.commit([first, *writes], fences)
    items = [(f"k||{i}", Item(b"v" * i, i + 1, i % 2 * 99)) for i in range(300)]
    plain = write(Address("other", "x"), store.new_key(), at_us=1, record=b"", items=items)
    gone = store.new_key()
    await store.commit(
        [plain, write(Address("wf", "gone"), gone, at_us=1, record=b"", reminders_set=[("r", 1)])], fences
    )
    await store.commit([write(Address("wf", "gone"), gone, at_us=2, delete=True)], fences)


async def picture_of(store: Store) -> object:
    """The visible content of a store, except its keys."""
    addresses = [Address("wf", f"ü-{i}") for i in range(20)] + [Address("other", "x"), Address("wf", "gone")]
    loaded = [each and (each.record, each.entries, each.active, each.facets) for each in await store.load(addresses)]  # type: ignore[union-attr]
    page = await store.list("wf", ListFilter(), order=Order.CREATED, cursor=None, limit=100)
    tagged = await store.list("wf", ListFilter(tags={"k": "3"}), order=Order.CREATED, cursor=None, limit=100)
    reminders = [(each.due_us, each.address, each.name) for each in await store.reminders(after=None, limit=100)]
    audit = await store.audit(AuditFilter(), cursor=None, limit=100)
    counted = await store.count("wf", ListFilter(), by=("status", "root"))
    return (
        loaded,
        list(await store.inspect(addresses)),
        [each[:3] for each in page.listed],
        [each.id for each in tagged.listed],
        sorted(reminders),
        list(await store.active()),
        [row[:5] for row in audit.rows],
        counted,
    )


async def test_a_copy_has_all_that_its_source_has(stores: tuple[Store, Store]) -> None:
    source, target = stores
    await fill(source)
    async with source_of(source) as read:
        await copying.copy(read, target)
        totals = await copying.totals_of(read)
        async with source_of(target) as copied:
            copying.require_equal(totals, await copying.totals_of(copied))
    await copying.finish(target)
    assert await picture_of(target) == await picture_of(source)
    assert (totals.actors, totals.reminders, totals.audit) == (21, 8, 20)


async def test_a_copying_that_was_interrupted_goes_on_where_it_was(
    stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = stores
    await fill(source)
    monkeypatch.setattr(copying, "ACTORS_AT_ONCE", 3)
    monkeypatch.setattr(copying, "AUDIT_AT_ONCE", 4)

    class Interrupted(Exception):
        pass

    # Given a copy that ends in the middle, each time a little later,
    async with source_of(source) as read:
        for most in range(3, 20, 3):
            copied = 0

            def told(now: int, most: int = most) -> None:
                nonlocal copied
                copied = now
                if now >= most:
                    raise Interrupted

            try:
                await copying.copy(read, target, told=told)
            except Interrupted:
                continue
            break
        # when it is called again, then it copies the rest, once.
        await copying.copy(read, target)
        async with source_of(target) as made:
            copying.require_equal(await copying.totals_of(read), await copying.totals_of(made))
    await copying.finish(target)
    assert await picture_of(target) == await picture_of(source)


async def test_the_beginning_of_another_copy_is_not_gone_on_with(stores: tuple[Store, Store]) -> None:
    source, target = stores
    await fill(source, actors=1)

    class Other:
        identity = "another store"

        async def apps(self) -> Mapping[str, int]:
            return {}

        async def actors(self, behind: CopyPlace) -> AsyncIterator[tuple[CopyPlace, CopiedActor]]:
            yield CopyPlace(0, 1), CopiedActor(Address("wf", "z"), b"", False, None, (), ())

        async def items(self, behind: CopyPlace) -> AsyncIterator[tuple[CopyPlace, copying.CopiedItem]]:
            for _ in ():
                yield CopyPlace(), _

        async def audit(self, behind: CopyPlace) -> AsyncIterator[tuple[CopyPlace, copying.CopiedAudit]]:
            for _ in ():
                yield CopyPlace(), _

    await copying.copy(Other(), target)
    async with source_of(source) as read:
        with pytest.raises(StoreFailed, match="the beginning of a copy of another store, not of"):
            await copying.copy(read, target)


async def test_a_source_that_was_worked_on_meanwhile_is_found_out(stores: tuple[Store, Store]) -> None:
    source, target = stores
    await fill(source)
    async with source_of(source) as read:
        await copying.copy(read, target)
    fences = await source.claim("host", now_us=1)
    (stored,) = await source.load([Address("wf", "ü-3")])
    shard = shard_of("ü-3", source.shards)
    write = Write(key=stored.key, address=Address("wf", "ü-3"), shard=shard, at_us=99, entry=b"late")  # type: ignore[union-attr]
    await source.commit([write], fences)
    async with source_of(source) as read, source_of(target) as made:
        with pytest.raises(StoreFailed, match="Perhaps the source was worked on"):
            copying.require_equal(await copying.totals_of(read), await copying.totals_of(made))

"""The SQLite store and the store in memory agree after any writes to both."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.actors.address import Address
from perdure.actors.store.audit import Audited, AuditFilter, AuditRow
from perdure.actors.store.contract import Reminder, Store, Write
from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.listing import Facets, Listed, ListFilter, Order
from perdure.actors.store.memory import MemoryStore
from perdure.actors.store.sqlite.maintenance import check
from perdure.actors.store.sqlite.store import SqliteStore

from ...support.actors.small_pages import small_pages
from ...support.actors.store_bench import SHARDS, write
from ...support.examples import examples

pytestmark = pytest.mark.anyio

IDS = ("a", "ab", "b", "c", "d", "é")


@st.composite
def steps(draw: st.DrawFn) -> dict[str, Any]:
    """A write to one of a few actors, without its key, which depends on the state at that time."""
    when = st.integers(1, 4)
    reminders = st.lists(st.tuples(st.sampled_from(("r", "s")), when), max_size=2)
    return {
        "id": draw(st.sampled_from(IDS)),
        "kind": draw(st.sampled_from(("turn", "turn", "turn", "reset", "delete", "clash"))),
        "at_us": draw(when),
        "entry": draw(st.none() | st.binary(max_size=3)),
        "record": draw(st.none() | st.binary(max_size=3)),
        "active": draw(st.sampled_from((None, True, False))),
        "reminders_set": draw(reminders),
        "reminders_cleared": draw(reminders),
        "facets": draw(st.none() | facets()),
        "audit": draw(st.lists(st.builds(AuditRow, actions, actions, st.binary(max_size=2)), max_size=2)),
    }


actions = st.sampled_from("pq")
times = st.integers(1, 6)


@st.composite
def facets(draw: st.DrawFn) -> Facets:
    tags = draw(st.dictionaries(st.sampled_from("kl"), st.sampled_from("vw"), max_size=2))
    return Facets(
        name=draw(st.sampled_from(("N", "M"))),
        status=draw(st.sampled_from(("R", "C", "F"))),
        created_us=draw(times),
        updated_us=draw(times),
        ended_us=draw(st.none() | times),
        parent=draw(st.sampled_from((None, "a", "b"))),
        tags=tuple(sorted(tags.items())),
    )


@st.composite
def filters(draw: st.DrawFn) -> ListFilter:
    """A filter with any of the conditions."""
    some = st.frozensets(st.sampled_from(("R", "C", "F", "N", "M")), max_size=3)
    at = st.none() | times
    return ListFilter(
        statuses=draw(st.none() | some),
        not_statuses=draw(st.just(frozenset[str]()) | some),
        names=draw(st.none() | st.none() | some),
        not_names=draw(st.just(frozenset[str]()) | some),
        id_prefix=draw(st.sampled_from(("", "", "a"))),
        parent=draw(st.sampled_from((None, None, "a", "c"))),
        root=draw(st.sampled_from((None, None, True, False))),
        created_from_us=draw(at),
        created_to_us=draw(at),
        updated_from_us=draw(at),
        updated_to_us=draw(at),
        tags=draw(st.dictionaries(st.sampled_from("kl"), st.sampled_from("vw"), max_size=2)),
        in_flight_since_us=draw(at),
        or_statuses=draw(some),
    )


def batch_of(steps: Sequence[Mapping[str, Any]], keys: dict[str, int], store: Store) -> list[Write]:
    """Make writes of steps, as a host would: a new key and a record for an actor that is not there.

    A clash, a second key for an actor, is a host's mistake and ends the batch.
    """
    writes = []
    for step in steps:
        id_, kind = step["id"], step["kind"]
        fields = {name: step[name] for name in step if name not in ("id", "kind")}
        clashes = kind == "clash" and id_ in keys
        if id_ not in keys or clashes:
            keys[id_] = store.new_key()
            fields["record"] = fields["record"] or b"new"
        fields |= {"reset": kind == "reset", "delete": kind == "delete"}
        writes.append(write(keys[id_], Address("wf", id_), **fields))
        if clashes:
            break
        if kind == "delete":
            del keys[id_]
    return writes


async def picture_of(store: Store) -> list[object]:
    """The visible content of a store."""
    addresses = [Address("wf", id_) for id_ in (*IDS, "nobody")]
    everything = await store.reminders(after=None, limit=1000)
    pages: list[Reminder] = []
    while page := await store.reminders(after=pages[-1] if pages else None, limit=2):
        pages += page
    assert pages == everything
    lists = await listed(store, ListFilter(), Order.NEWEST)
    outsides = [*await store.load(addresses), *await store.inspect(addresses)]
    return [await audited(store), lists, *outsides, *await store.active(), *everything]


async def audited(store: Store) -> list[tuple[object, ...]]:
    found: list[Audited] = []
    cursor: str | None = None
    while True:
        page = await store.audit(AuditFilter(), cursor=cursor, limit=3)
        found += page.rows
        if (cursor := page.cursor) is None:
            return [row[:-1] for row in found]


async def listed(store: Store, wanted: ListFilter, order: Order) -> list[tuple[str, Facets, bytes]]:
    found: list[Listed] = []
    cursor: str | None = None
    while True:
        page = await store.list("wf", wanted, order=order, cursor=cursor, limit=2)
        found += page.listed
        if (cursor := page.cursor) is None:
            return [each[:3] for each in found]


@pytest.fixture(autouse=True, scope="module")
def small_limits() -> Iterator[None]:
    with small_pages():
        yield


Batches = list[tuple[list[dict[str, Any]], bool]]  # of steps, and whether the store is opened again after each

some_batches = st.lists(st.tuples(st.lists(steps(), min_size=1, max_size=12), st.booleans()), max_size=6)
some_filters = st.lists(filters(), min_size=2, max_size=4)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@settings(max_examples=examples(25), deadline=None)
@given(batches=some_batches, wanted=some_filters)
async def test_sqlite_and_memory_agree_whatever_is_written(batches: Batches, wanted: list[ListFilter]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await agree(SqliteStore(Path(folder, "store.db"), shards=SHARDS), batches, wanted)
        # The file is sound, apart from reminders that deletions forgot on purpose.
        assert not [fault for fault in check(Path(folder, "store.db")) if "reminders" not in fault]


async def agree(store: Store, batches: Batches, wanted: list[ListFilter]) -> None:
    """Write the same to an empty store and to one in memory, and compare the visible content of both."""
    model = MemoryStore(shards=SHARDS)
    await model.open()
    await store.open()
    try:
        keys: dict[str, int] = {}
        fences = await store.claim("host", now_us=1)
        assert await model.claim("host", now_us=1) == fences
        for steps, restart in batches:
            # When the same batch goes into both,
            changed = dict(keys)
            writes = batch_of(steps, changed, store)
            outcomes = [await outcome_of(each, writes, fences) for each in (model, store)]
            # then both take it or both refuse it, and look alike.
            assert outcomes[0] == outcomes[1]
            if outcomes[0] is None:
                keys = changed
            if restart:
                await store.close()
                await store.open()
                fences = await store.claim("host", now_us=1)
                await model.claim("host", now_us=1)
            assert await picture_of(store) == await picture_of(model)
        for each in wanted:
            for order in Order:
                assert await listed(store, each, order) == await listed(model, each, order)
            by = ("root", "status", "name")
            assert await store.count("wf", each, by=by) == await model.count("wf", each, by=by)
    finally:
        await store.close()
        await model.close()


async def outcome_of(store: Store, writes: Sequence[Write], fences: Mapping[int, int]) -> type[Exception] | None:
    try:
        await store.commit(writes, fences)
    except StoreFailed as error:
        return type(error)
    return None

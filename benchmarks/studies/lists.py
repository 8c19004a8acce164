"""`perdure bench lists`: how long pages and counts take in a store with many instances.

The one law: what is asked for is what docs/design/listing.md makes promises of, and each page is asked for by the
store's own `list`, with the thread of lists and all. The time is the wall's: nothing else runs in the process.
"""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

import anyio
import click

from ...actors.store.listing import ListFilter, Order
from ...actors.store.sqlite.store import SqliteStore
from ...runtime.directory import WORKFLOW
from ..drivers.measure import usage_of_self
from ..terminal import Line, show, table
from .many_instances import BEGAN_US, write_instances

LIMIT = 100
ROUNDS = 5  # the median of so many pages, one after the other, counts
FAILED = frozenset({"FAILED"})
ONE_NAME = frozenset({"Workflow3"})

# One indexed filter, in its own order.
SINGLE: Mapping[str, tuple[ListFilter, Order]] = {
    "all, -created": (ListFilter(), Order.NEWEST),
    "all, -updated": (ListFilter(), Order.LATEST),
    "status": (ListFilter(statuses=FAILED), Order.NEWEST),
    "status, -updated": (ListFilter(statuses=FAILED), Order.LATEST),
    "name": (ListFilter(names=ONE_NAME), Order.NEWEST),
    "status and name": (ListFilter(statuses=FAILED, names=ONE_NAME), Order.NEWEST),
    "root": (ListFilter(root=True), Order.NEWEST),
    "parent without children": (ListFilter(parent="nobody"), Order.NEWEST),
    "tag": (ListFilter(tags={"customer": "c7"}), Order.NEWEST),
    "tag that 100 000 have": (ListFilter(tags={"env": "prod"}), Order.NEWEST),
    "id prefix, by id": (ListFilter(id_prefix="order-0"), Order.ID),
    "created range": (ListFilter(created_from_us=BEGAN_US + 10**6, created_to_us=BEGAN_US + 10**9), Order.NEWEST),
    "updated range": (ListFilter(updated_from_us=BEGAN_US + 10**6, updated_to_us=BEGAN_US + 10**9), Order.LATEST),
    "ended before, oldest first": (
        ListFilter(statuses=frozenset({"COMPLETED"}), updated_to_us=BEGAN_US + 10**9),
        Order.UPDATED,
    ),
}
# Filters whose conditions no index has together, some with few matches and some with none.
COMBINED: Mapping[str, ListFilter] = {
    "tag and status": ListFilter(tags={"env": "prod"}, statuses=frozenset({"TERMINATED"})),
    "prefix, status and root": ListFilter(id_prefix="order-", statuses=FAILED, root=True),
    "prefix of many": ListFilter(id_prefix="order-"),
    "created and updated": ListFilter(
        created_to_us=BEGAN_US + 10**8, updated_from_us=BEGAN_US + 9 * 10**8, names=ONE_NAME
    ),
    "updated early, begun late": ListFilter(updated_to_us=BEGAN_US + 10**7, created_from_us=BEGAN_US + 10**9),
    "in flight": ListFilter(in_flight_since_us=BEGAN_US + 10**12),
    "in flight, name and prefix": ListFilter(in_flight_since_us=BEGAN_US + 10**12, names=ONE_NAME, id_prefix="job-"),
    "two tags, one of none": ListFilter(tags={"env": "prod", "nothing": "x"}),
}


class ListTiming(NamedTuple):
    """How long something took."""

    what: str
    milliseconds: float  # the median
    slowest: float
    mark: float


async def measure_lists(path: Path) -> list[ListTiming]:
    """Ask a store for everything that there is a mark for."""
    began = time.perf_counter()
    store = SqliteStore(path)
    await store.open()
    timed = [ListTiming("opening the store", (opened := (time.perf_counter() - began) * 1e3), opened, 1_000.0)]
    try:
        timed.append(await _counts(store))
        timed += [await _pages(store, what, *asked, mark=5) for what, asked in SINGLE.items()]
        for what, wanted in COMBINED.items():
            timed += [
                await _pages(store, f"{what}, {order.value}", wanted, order, mark=50)
                for order in (Order.NEWEST, Order.LATEST)
            ]
    finally:
        await store.close()
    return timed


async def _pages(store: SqliteStore, what: str, wanted: ListFilter, order: Order, *, mark: float) -> ListTiming:
    took: list[float] = []
    cursor: str | None = None
    for _ in range(ROUNDS):
        began = time.perf_counter()
        page = await store.list(WORKFLOW, wanted, order=order, cursor=cursor, limit=LIMIT)
        took.append((time.perf_counter() - began) * 1e3)
        cursor = page.cursor
    return ListTiming(what, median(took), max(took), mark)


async def _counts(store: SqliteStore) -> ListTiming:
    took: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await store.count(WORKFLOW, ListFilter(), by=("status", "name", "root"))
        took.append((time.perf_counter() - began) * 1e3)
    return ListTiming("count by status, name and root", median(took), max(took), 5)


@click.command()
@click.option("--instances", type=click.IntRange(min=1_000), default=1_000_000, show_default=True)
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="A folder for the store.")
def lists(instances: int, data: Path | None) -> None:
    """Measure pages and counts in a store with many instances.

    The store is written first, which takes a minute for a million. The numbers are medians of five pages.

    For example: perdure bench lists --instances 1000000
    """
    with tempfile.TemporaryDirectory(prefix="perdure-lists-", dir=data) as folder:
        path = Path(folder, "store.db")
        write_instances(path, instances)
        before = usage_of_self().rss_bytes
        timed = anyio.run(measure_lists, path)
        grown = usage_of_self().rss_bytes - before
    lines = [
        Line(
            (each.what, f"{each.milliseconds:.1f}", f"{each.slowest:.1f}", f"{each.mark:g}"),
            style="red" if each.milliseconds > each.mark else "",
        )
        for each in timed
    ]
    show(table(("asked for", "median ms", "slowest ms", "mark ms"), lines, title=f"{instances:,} instances"))
    click.echo(f"memory: {grown / 2**20:.0f} MiB more than before")

"""`perdure bench lists`: the times of pages and counts in a store with many instances.

The rule: docs/design/listing.md makes a promise for each measured list, and each page is read with the store's own
`list`, in its thread. The times are wall times: nothing else runs in the process.
"""

import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import anyio
import click

from ...actors.store.listing import ListFilter, Order
from ...actors.store.sqlite.store import SqliteStore
from ...runtime.directory import WORKFLOW
from ..drivers.measure import usage_of_self
from ..terminal import Line, show, table
from .many_instances import BEGAN_US, write_instances

LIMIT = 100
ROUNDS = 5  # consecutive pages, whose median counts
FAILED = frozenset({"FAILED"})
ONE_NAME = frozenset({"Workflow3"})

# A single indexed filter, in its own order.
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
# Filters without a common index, some with few matches and some with none.
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
    what: str
    median: float
    slowest: float
    mark: float


async def measure_lists(path: Path) -> list[ListTiming]:
    store = SqliteStore(path)

    async def count(_: object) -> None:
        await store.count(WORKFLOW, ListFilter(), by=("status", "name", "root"))

    def page(wanted: ListFilter, order: Order) -> Callable[[Any], Awaitable[str | None]]:
        async def ask(cursor: str | None) -> str | None:
            return (await store.list(WORKFLOW, wanted, order=order, cursor=cursor, limit=LIMIT)).cursor

        return ask

    timed = [await timing_of("opening the store", lambda _: store.open(), mark=1_000, rounds=1)]
    try:
        timed.append(await timing_of("count by status, name and root", count, mark=5))
        timed += [await timing_of(what, page(*asked), mark=5) for what, asked in SINGLE.items()]
        timed += [
            await timing_of(f"{what}, {order.value}", page(wanted, order), mark=50)
            for what, wanted in COMBINED.items()
            for order in (Order.NEWEST, Order.LATEST)
        ]
    finally:
        await store.close()
    return timed


async def timing_of(
    what: str, ask: Callable[[Any], Awaitable[Any]], *, mark: float, rounds: int = ROUNDS
) -> ListTiming:
    """Ask `rounds` times, each time with the previous answer."""
    took_ms: list[float] = []
    answer = None
    for _ in range(rounds):
        began_s = time.perf_counter()
        answer = await ask(answer)
        took_ms.append((time.perf_counter() - began_s) * 1e3)
    return ListTiming(what, median(took_ms), max(took_ms), mark)


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
            (each.what, f"{each.median:.1f}", f"{each.slowest:.1f}", f"{each.mark:g}"),
            style="red" if each.median > each.mark else "",
        )
        for each in timed
    ]
    show(table(("asked for", "median ms", "slowest ms", "mark ms"), lines, title=f"{instances:,} instances"))
    click.echo(f"memory: {grown / 2**20:.0f} MiB more than before")

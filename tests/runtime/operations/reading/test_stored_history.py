"""Stores of earlier releases lack the fields that readers want, and are listed and described all the same."""

import sqlite3
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from perdure import Engine, Settings
from perdure.actors.instruments import SYSTEM
from perdure.actors.store.errors import ListsUnfinished
from perdure.actors.store.listing import Order
from perdure.runtime.operations.reading.listing import InstanceFilter, InstancePage
from perdure.runtime.operations.reading.stored_history import survey

from ....support.paths import ROOT

pytestmark = pytest.mark.anyio


async def first_page(engine: Engine) -> InstancePage:
    """All instances, after the store has listed those of the earlier release."""
    with anyio.fail_after(5):
        while True:
            with suppress(ListsUnfinished):
                return await engine.views.listing.list(InstanceFilter(), order=Order.ID, limit=50, with_waiting=True)
            await anyio.sleep(0.01)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_instances_of_an_older_store_are_listed_and_described_with_what_is_known_of_them(
    tmp_path: Path, settings: Settings
) -> None:
    # Given a store of commit 5a883a1, with instances that wait for an event and a child,
    data = tmp_path / "perdure.db"
    with sqlite3.connect(data) as connection:
        connection.executescript((ROOT / "tests/support/workflows/store_5a883a1.sql").read_text())
    connection.close()
    # when it is opened without their code,
    async with Engine(None, data=data, settings=settings) as engine:
        views = engine.views
        page = await first_page(engine)
        # then all are listed,
        items = {item.id: item for item in page.items}
        assert set(items) == {"failed_once", "failed_twice", "generations", "generations:0001"}
        for id_, item in items.items():
            found = await views.descriptions.describe(id_)
            assert found is not None
            assert found.item == item
            assert (item.status, item.tags) == ("RUNNING", ())
            assert item.created_us <= item.updated_us
            assert found.turns > 0
            assert page.waiting[id_]
            assert (await views.histories.page(id_)).events
        # a child has its parent for a root,
        children = [item for item in items.values() if item.parent is not None]
        assert [(child.parent, child.root) for child in children] == [("generations", "generations")]
        # and the first start of the second generation is not known any more: the present one replaces it.
        parent = await views.descriptions.describe("generations")
        assert parent is not None
        assert parent.item.generation == 1
        assert parent.first_execution_id == parent.execution_id


async def test_an_empty_history_is_surveyed_too() -> None:
    found = await survey([], SYSTEM.stopwatch)
    assert (found.first, found.last, found.entries.turns) == (None, None, 0)

"""A store that is written by SQL is one that an engine could have written."""

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from perdure.actors.store.errors import ListsUnfinished
from perdure.actors.store.listing import Facets, ListFilter, Order
from perdure.actors.store.sqlite.maintenance import check
from perdure.actors.store.sqlite.store import SqliteStore
from perdure.benchmarks.studies.many_instances import write_instances
from perdure.runtime.authoring.app import App
from perdure.runtime.directory import WORKFLOW
from perdure.runtime.engine import Engine
from perdure.runtime.history.status import Status


def test_an_engine_finds_every_instance_as_its_status_says(tmp_path: Path) -> None:
    path = tmp_path / "many.db"
    write_instances(path, 1_500)
    assert check(path) == []

    async def look() -> None:
        async with Engine(App(), data=str(path)) as engine:
            lists = engine._host.lists
            counted = await lists.count(WORKFLOW, ListFilter(), by=["status"])
            assert {group.values[0] for group in counted.groups} == {"COMPLETED", "FAILED", "RUNNING", "TERMINATED"}
            assert sum(group.total for group in counted.groups) == 1_500
            for status in ("COMPLETED", "FAILED", "RUNNING", "TERMINATED"):
                wanted = ListFilter(statuses=frozenset({status}))
                page = await lists.list(WORKFLOW, wanted, order=Order.NEWEST, cursor=None, limit=1)
                state = await engine.client.get(page.listed[0].id)
                assert state is not None
                assert state.status is Status[status]
            tagged = await lists.count(WORKFLOW, ListFilter(tags={"env": "prod"}), by=())
            assert tagged.groups[0].total == 150
            children = await lists.count(WORKFLOW, ListFilter(root=False), by=())
            assert children.groups[0].total == 167

    anyio.run(look)


def test_one_without_lists_is_as_an_earlier_release_left_it_and_an_engine_fills_it(tmp_path: Path) -> None:
    listed, old = tmp_path / "listed.db", tmp_path / "old.db"
    write_instances(listed, 300)
    write_instances(old, 300)
    with closing(sqlite3.connect(old)) as connection:
        for table in ("facets", "tags", "kinds"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("UPDATE meta SET value = 300 WHERE name = 'unlisted_key'")
        connection.commit()

    async def look(path: Path) -> dict[str, Facets]:
        async with Engine(App(), data=str(path)) as engine:
            while await engine.store.unlisted(limit=1):
                await anyio.sleep(0.001)
            lists = engine._host.lists
            page = await lists.list(WORKFLOW, ListFilter(), order=Order.ID, cursor=None, limit=500)
            # An older store knows the last change of an instance from its last turn only.
            return {each.id: replace(each.facets, updated_us=0, ended_us=None) for each in page.listed}

    async def refused() -> None:
        store = SqliteStore(old)
        await store.open()
        with pytest.raises(ListsUnfinished):
            await store.count(WORKFLOW, ListFilter(), by=())
        await store.close()

    anyio.run(refused)
    found = anyio.run(look, old)
    assert len(found) == 300
    assert found == anyio.run(look, listed)

"""A store with many instances, written in seconds: a few are run by an engine, and their rows are copied by SQL.

The rule: every row is one that an engine could have written, sealed and listed, so that a daemon serves the store,
lists it, purges from it and finds it sound.

`benchmarks/studies/lists.py` measures on it, and so does the test of scale.
"""

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import anyio
import msgpack

from ...actors.store.contract import Stored
from ...actors.store.errors import StoreError
from ...actors.store.listing import ListFilter
from ...actors.store.sqlite.layout import make_ready
from ...actors.store.sqlite.lists.changes import facets_row, tag_rows_of
from ...actors.store.sqlite.lists.kinds import Kinds
from ...actors.store.tables.checksums import seal_record, sealed_entries
from ...runtime.authoring.app import App
from ...runtime.authoring.context import WorkflowContext
from ...runtime.directory import WORKFLOW
from ...runtime.engine import Engine
from ...runtime.errors import WorkflowFailed
from ...runtime.history.event import Parent
from ...runtime.history.facets import facets_of
from ...runtime.history.record import InstanceRecord, unpack_record
from ...runtime.instance.message import workflow_address

BEGAN_US = 1_767_225_600_000_000  # 2026-01-01: when the first instance began; the others follow a millisecond apart
STATUSES = ("COMPLETED",) * 88 + ("FAILED",) * 5 + ("TERMINATED",) * 2 + ("RUNNING",) * 5
NAMES = 20
CUSTOMERS = 1_000
CACHE_KIB = 512 * 1024
GO = "go"


def write_instances(path: Path, instances: int) -> None:
    """Make a store of one part with so many instances.

    Of each hundred, 88 are completed, 5 failed, 2 terminated, and 5 wait for an event. Every third has a parent, every
    tenth has tags (`customer`, one of a thousand, and `env`), and they have twenty names.
    """
    models = anyio.run(models_of_each_status)
    make_ready(path, parts=1)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute("BEGIN")
        _write(connection, models, instances)
        connection.execute("COMMIT")


async def models_of_each_status() -> dict[str, Stored]:
    """Run an instance to each status, and return what the store then holds of it."""
    app = App()

    @app.workflow(name="Workflow0")
    async def workflow(ctx: WorkflowContext, text: str) -> str:
        if text == "fail":
            raise ValueError("on purpose")
        if text != "complete":
            await ctx.wait_for_external_event(GO)
        return text

    async with Engine(app, data=":memory:") as engine:
        for text in ("complete", "fail", "terminate", "wait"):
            await engine.client.start("Workflow0", input=text, instance_id=text)
        await engine.client.terminate("terminate")
        for text in ("complete", "fail", "terminate"):
            with suppress(WorkflowFailed):
                await engine.client.result(text)
        stored = await engine.store.load([workflow_address(t) for t in ("complete", "fail", "terminate", "wait")])
    found: dict[str, Stored] = {}
    for each in stored:
        assert each is not None
        assert not isinstance(each, StoreError)
        assert each.facets is not None
        found[each.facets.status] = each
    return found


def _write(connection: sqlite3.Connection, models: dict[str, Stored], instances: int) -> None:
    chance = random.Random(1)  # noqa: S311  the same store each time
    kinds, packer = Kinds(), msgpack.Packer()
    ids = [f"{'order' if n % 2 else 'job'}-{chance.getrandbits(48):012x}" for n in range(instances)]
    statuses = [chance.choice(STATUSES) for _ in range(instances)]
    position = 1
    for begin in range(0, instances, 10_000):
        keys = range(begin + 1, min(begin + 10_000, instances) + 1)
        actors: list[Any] = []
        log: list[Any] = []
        facets: list[Any] = []
        tags: list[Any] = []
        for key in keys:
            id_, model = ids[key - 1], models[statuses[key - 1]]
            began_us = BEGAN_US + key * 1_000
            record = _record(model, key, began_us, ids, chance)
            actors.append((key, WORKFLOW, id_, seal_record(key, WORKFLOW, id_, record.pack(packer))))
            entries = [(key, began_us, entry) for entry in model.entries]
            log += _rows(sealed_entries(entries, position), 4)
            position += len(entries)
            changed_us = began_us if statuses[key - 1] == "RUNNING" else began_us + chance.randrange(10**9)
            shown = facets_of(record, changed_us)
            row = facets_row(key, kinds.number_of(WORKFLOW, shown), shown)
            facets.append(row)
            tags += tag_rows_of(key, row[2], row[6])
        connection.executemany("INSERT INTO actors VALUES (?, ?, ?, ?)", actors)
        connection.executemany("INSERT INTO log VALUES (?, ?, ?, ?)", log)
        connection.executemany("INSERT INTO facets VALUES (?, ?, ?, ?, ?, ?, ?)", facets)
        connection.executemany("INSERT INTO tags VALUES (?, ?, ?, ?)", tags)
    new = kinds.matching(WORKFLOW, ListFilter())
    connection.executemany(
        "INSERT INTO kinds VALUES (?, ?, ?, ?, ?)", [(number, *kind) for number, kind in new.items()]
    )
    waiting = [(n + 1,) for n, status in enumerate(statuses) if status == "RUNNING"]
    connection.executemany("INSERT INTO active VALUES (?)", waiting[: len(waiting) // 10])


def _record(model: Stored, key: int, began_us: int, ids: Sequence[str], chance: random.Random) -> InstanceRecord:
    """The record of a model, with the name, the parent and the tags of another instance."""
    parent = None
    if key % 3 == 0 and key > 1_000:
        parent = Parent(ids[key - 1 - chance.randrange(1, 1_000)], "0" * 32, 0, "Workflow0")
    tags = (("customer", f"c{chance.randrange(CUSTOMERS)}"), ("env", "prod")) if key % 10 == 0 else ()
    name = f"Workflow{chance.randrange(NAMES)}"
    return unpack_record(model.record)._replace(name=name, created_us=began_us, parent=parent, tags=tags)


def _rows(values: Sequence[object], columns: int) -> Iterator[Sequence[object]]:
    for begin in range(0, len(values), columns):
        yield values[begin : begin + columns]

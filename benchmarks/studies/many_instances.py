"""Writes a store with many instances in a minute: copies of a few instances that an engine has run.

The rule: the store writes every row as an engine would, so that a daemon can serve, list, purge and check the store.

`benchmarks/studies/lists.py` and the test of scale measure on it.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

import anyio
import msgpack

from ...actors.address import shard_of
from ...actors.store.contract import Stored, Write
from ...actors.store.durability import Durability
from ...actors.store.errors import StoreError
from ...actors.store.sqlite.store import SqliteStore
from ...runtime.authoring.app import App
from ...runtime.authoring.context import WorkflowContext
from ...runtime.engine import Engine
from ...runtime.errors import WorkflowFailed
from ...runtime.history.event import Parent
from ...runtime.history.facets import facets_of
from ...runtime.history.record import InstanceRecord, unpack_record
from ...runtime.instance.message import workflow_address

BEGAN_US = 1_767_225_600_000_000  # 2026-01-01: the start of the first instance; the others follow a millisecond apart
STATUSES = ("COMPLETED",) * 88 + ("FAILED",) * 5 + ("TERMINATED",) * 2 + ("RUNNING",) * 5
NAMES = 20
CUSTOMERS = 1_000
AT_ONCE = 5_000  # turns in one commit
ACTIVE_SHARE = 0.1  # of the waiting instances: in memory when their host was stopped
GO = "go"


def write_instances(path: Path, instances: int) -> None:
    """Make a store of one part.

    Of a hundred instances 88 are completed, 5 failed, 2 terminated, and 5 wait for an event. Every third has a parent,
    every tenth has tags (`customer`, one of a thousand, and `env`), and there are twenty names.
    """
    anyio.run(_write, path, instances)


async def _write(path: Path, instances: int) -> None:
    models = await models_of_each_status()
    store = SqliteStore(path, durability=Durability.RELAXED)
    await store.open()
    try:
        fences = await store.claim("here", now_us=0)
        writes = writes_of(models, instances, store.shards)
        while some := list(islice(writes, AT_ONCE)):
            await store.commit(some, fences)
    finally:
        await store.close()


async def models_of_each_status() -> dict[str, Stored]:
    """Run an instance to each status, and return its rows."""
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


def writes_of(models: dict[str, Stored], instances: int, shards: int) -> Iterator[Write]:
    """Yield the turns of the instances, which are copies of a model's."""
    chance = random.Random(1)  # noqa: S311  the same store each time
    packer = msgpack.Packer()
    ids = [f"{'order' if n % 2 else 'job'}-{chance.getrandbits(48):012x}" for n in range(instances)]
    for key, id_ in enumerate(ids, 1):
        status = chance.choice(STATUSES)
        began_us = BEGAN_US + key * 1_000
        record = _record(models[status], key, began_us, ids, chance)
        changed_us = began_us if status == "RUNNING" else began_us + chance.randrange(10**9)
        turn = partial(Write, key=key, address=workflow_address(id_), shard=shard_of(id_, shards), at_us=began_us)
        first, *others = models[status].entries
        active = status == "RUNNING" and chance.random() < ACTIVE_SHARE
        yield turn(entry=first, record=record.pack(packer), active=active, facets=facets_of(record, changed_us))
        for entry in others:
            yield turn(entry=entry)


def _record(model: Stored, key: int, began_us: int, ids: Sequence[str], chance: random.Random) -> InstanceRecord:
    """The record of a model with the name, the parent and the tags of another instance."""
    parent = None
    if key % 3 == 0 and key > 1_000:
        parent = Parent(ids[key - 1 - chance.randrange(1, 1_000)], "0" * 32, 0, "Workflow0")
    tags = (("customer", f"c{chance.randrange(CUSTOMERS)}"), ("env", "prod")) if key % 10 == 0 else ()
    name = f"Workflow{chance.randrange(NAMES)}"
    return unpack_record(model.record)._replace(name=name, created_us=began_us, parent=parent, tags=tags)

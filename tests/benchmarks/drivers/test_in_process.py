"""The engine in process: a driver that starts, steers and waits on a real SQLite file."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from perdure.actors.address import shard_of
from perdure.actors.store.cluster import ShardRow
from perdure.actors.store.part import Part
from perdure.benchmarks.drivers.in_process import EngineSetup, ProcessDriver, dealt, process_driver
from perdure.runtime.engine import Engine

pytestmark = pytest.mark.anyio


async def test_an_instance_runs_to_its_end_on_a_file(tmp_path: Path) -> None:
    setup = EngineSetup(folder=tmp_path)
    async with process_driver(setup) as driver:
        began_us = driver.now_us()
        instance_id = await driver.start("chain", 3)
        await driver.finish(instance_id)
        (end,) = await driver.ends([instance_id])
        assert end.output == 3
        assert began_us < end.at_us <= driver.now_us()
        counts = driver.counts()
        assert counts is not None
        assert counts.commits >= 4, "each step's result is committed, and the start"
        assert 0 < counts.rows <= counts.turns
        assert driver.load_usage() is None
    assert setup.store.stat().st_size > 0


async def test_the_end_of_an_instance_without_a_waiter_is_known_too(tmp_path: Path) -> None:
    async with process_driver(EngineSetup(folder=tmp_path)) as driver:
        instance_id = await driver.start("signal", None)
        await driver.raise_event(instance_id, "go", 7)
        assert [end.output for end in await driver.ends([instance_id])] == [7]


def test_the_engines_defaults_hold_unless_said_otherwise(tmp_path: Path) -> None:
    plain = EngineSetup(folder=tmp_path).settings()
    assert (plain.always_replay, plain.activations_max) == (False, 10_000)
    crowded = EngineSetup(folder=tmp_path, always_replay=True, activations_max=2).settings()
    assert (crowded.always_replay, crowded.activations_max) == (True, 2)


def test_one_of_several_hosts_starts_instances_that_are_its_own() -> None:
    engine = cast(Engine, SimpleNamespace(store=SimpleNamespace(shards=64)))
    part = Part(1, 3)
    ids = [ProcessDriver(engine, lambda: 0, owns=part.holds).own_id() for _ in range(50)]
    assert all(found is not None and part.holds(shard_of(found, 64)) for found in ids)
    assert len(set(ids)) == 50
    assert ProcessDriver(engine, lambda: 0).own_id() is None, "all are its own, and the engine's ids are new"


@pytest.mark.parametrize(
    ("owners", "hosts", "even"),
    [
        ([1, 1, 2, 2], 2, True),
        ([1, 1, 1, 2, 2], 2, True),
        ([1, 1, 1, 2], 2, False),  # one has two more
        ([1, 1, 2, None], 2, False),  # one has no owner
        ([1, 1, 2, 2], 3, False),  # one has none yet
        ([1, 1, 1, 1], 1, True),
    ],
)
def test_shards_are_dealt_when_each_host_has_as_many_as_the_others(
    owners: list[int | None], hosts: int, even: bool
) -> None:
    assert dealt([ShardRow(shard, host, 1) for shard, host in enumerate(owners)], hosts) is even

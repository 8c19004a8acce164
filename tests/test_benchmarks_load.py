"""Load: how much is under way at once, when it ends, and what it comes to, on an engine that only pretends."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import anyio
import pytest

from perdure.benchmarks.load import Counts, End, Extent, WrongResult, closed_loop, run_events, run_loop
from perdure.benchmarks.measure import Usage
from perdure.benchmarks.workloads import BY_NAME

pytestmark = pytest.mark.anyio

STEP_US = 1_000  # how long anything takes


class Pretender:
    """Answers at once; each look at its clock takes it a millisecond on."""

    def __init__(self, *, output: Any = 5) -> None:
        self.output = output
        self.time_us = 0
        self.started = 0
        self.under_way = 0
        self.under_way_max = 0
        self.raised: list[tuple[str, str, Any]] = []

    def now_us(self) -> int:
        self.time_us += STEP_US
        return self.time_us

    async def start(self, workflow: str, value: Any) -> str:
        self.started += 1
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        return f"i{self.started}"

    async def raise_event(self, instance_id: str, name: str, value: Any) -> None:
        self.raised.append((instance_id, name, value))

    async def finish(self, instance_id: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.under_way -= 1

    async def ends(self, instance_ids: Sequence[str]) -> list[End]:
        return [End(self.now_us(), self.output) for _ in instance_ids]

    def engine_usage(self) -> Usage:
        return Usage(cpu_s=self.started * 0.01, rss_bytes=2**20)

    def load_usage(self) -> Usage | None:
        return None

    def counts(self) -> Counts | None:
        return Counts(commits=self.started * 2, turns=self.started * 6)


class Parts:
    def __init__(self) -> None:
        self.shares: list[float] = []

    def part(self, share: float, units: int) -> None:
        self.shares.append(share)


async def test_a_closed_loop_keeps_so_many_under_way_and_no_more() -> None:
    engine = Pretender()

    async def item(_: int) -> None:
        await engine.finish(await engine.start("chain", 5))

    await closed_loop(engine, item, in_flight=3, extent=Extent(seconds=0, instances=20), step=lambda _: None)
    assert (engine.started, engine.under_way_max, engine.under_way) == (20, 3, 0)


async def test_a_closed_loop_of_a_time_begins_nothing_after_it() -> None:
    engine = Pretender()
    begun: list[int] = []

    async def item(began_us: int) -> None:
        begun.append(began_us)

    await closed_loop(engine, item, in_flight=2, extent=Extent(seconds=0.05), step=lambda _: None)
    # The loop looks at the clock once before each item, and once when it begins it.
    assert max(begun) <= 0.05 * 1e6 + 3 * STEP_US
    assert len(begun) > 5


async def test_a_loop_counts_units_and_what_each_cost() -> None:
    engine, parts = Pretender(), Parts()
    outcome = await run_loop(engine, BY_NAME["W1"], Extent(seconds=1, instances=10), parts)
    figures = outcome.figures
    assert figures["instances"] == 10
    assert figures["cpu_ms_per_unit"] == pytest.approx(10 * 0.01 * 1000 / 50)
    assert figures["units_per_commit"] == pytest.approx(50 / 20)
    assert figures["turns_per_unit"] == pytest.approx(60 / 50)
    assert figures["units_per_s"] == pytest.approx(5 * figures["instances_per_s"])
    assert "load_cpu_ms_per_unit" not in figures
    assert len(outcome.latencies_us) == 10
    assert parts.shares == sorted(parts.shares)
    assert parts.shares[-1] == 1.0


async def test_a_wrong_result_makes_the_measurement_void() -> None:
    with pytest.raises(WrongResult) as caught:
        await run_loop(Pretender(output=4), BY_NAME["W1"], Extent(seconds=1, instances=10), Parts())
    assert str(caught.value) == "instance i1 returned 4 and should have returned 5"


async def test_every_instance_that_waits_gets_one_event() -> None:
    events = BY_NAME["W4"]
    engine = Pretender(output=events.output)
    outcome = await run_events(engine, replace(events, in_flight=4), Extent(seconds=1, instances=9), Parts())
    assert sorted(engine.raised) == [(f"i{number}", "go", events.output) for number in range(1, 10)]
    assert outcome.figures["instances"] == 9

"""Load: the number of items under way, its end, and its figures, on an engine that only pretends."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import e
from typing import Any

import anyio
import pytest

from perdure.benchmarks.drivers import load
from perdure.benchmarks.drivers.measure import Counts, Span, Usage
from perdure.benchmarks.workloads.table import BY_NAME
from perdure.benchmarks.workloads.workload import Extent

from ...support.benchmarks.results import Parts

pytestmark = pytest.mark.anyio

STEP_US = 1_000  # how long anything takes


class Pretender(load.Driver):
    """Answers at once; each look at its clock moves it by a millisecond."""

    def __init__(self, *, output: Any = 5) -> None:
        super().__init__()
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

    async def ends(self, instance_ids: Sequence[str]) -> list[load.End]:
        return [load.End(self.now_us(), self.output) for _ in instance_ids]

    def engine_usage(self) -> Usage:
        return Usage(cpu_s=self.started * 0.01, rss_bytes=2**20)

    def load_usage(self) -> Usage | None:
        return None

    def counts(self) -> Counts | None:
        return Counts(commits=self.started * 2, turns=self.started * 6, rows=self.started * 3)


class Clockwork(Pretender):
    """Answers at once, by a clock that moves only while the load sleeps: by the intended time, and a little more."""

    def __init__(self, *, oversleep_us: int = 0) -> None:
        super().__init__()
        self.oversleep_us = oversleep_us
        self.slept_s: list[float] = []

    def now_us(self) -> int:
        return self.time_us

    async def sleep(self, delay_s: float) -> None:
        self.slept_s.append(delay_s)
        # Tasks that were begun before run before the clock moves; trio promises that only after two rounds.
        for _ in range(2):
            await anyio.lowlevel.checkpoint()
        self.time_us += round(delay_s * 1e6) + self.oversleep_us


async def test_a_closed_loop_keeps_so_many_under_way_and_no_more() -> None:
    engine = Pretender()

    async def item(_: int) -> None:
        await engine.finish(await engine.start("chain", 5))

    await load.closed_loop(engine, item, lambda _: None, in_flight=3, extent=Extent(seconds=0, instances=20))
    assert (engine.started, engine.under_way_max, engine.under_way) == (20, 3, 0)


async def test_a_closed_loop_of_a_time_begins_nothing_after_it() -> None:
    engine = Pretender()
    begun: list[int] = []

    async def item(began_us: int) -> None:
        begun.append(began_us)

    await load.closed_loop(engine, item, lambda _: None, in_flight=2, extent=Extent(seconds=0.05))
    # The loop looks at the clock once before each item, and once when it begins it.
    assert max(begun) <= 0.05 * 1e6 + 3 * STEP_US
    assert len(begun) > 5
    # On a machine that is late, the time may be over before the first.
    begun.clear()
    await load.closed_loop(engine, item, lambda _: None, in_flight=2, extent=Extent(seconds=STEP_US / 1e6))
    assert len(begun) == 1


async def test_a_loop_counts_units_and_what_each_cost() -> None:
    engine, parts = Pretender(), Parts()
    outcome = await load.run_loop(engine, BY_NAME["W1"], Extent(seconds=1, instances=10), parts)
    figures = outcome.figures
    assert figures["instances"] == 10
    assert figures["cpu_ms_per_unit"] == pytest.approx(10 * 0.01 * 1000 / 50)
    assert figures["units_per_commit"] == pytest.approx(50 / 20)
    assert figures["turns_per_unit"] == pytest.approx(60 / 50)
    assert figures["rows_per_turn"] == pytest.approx(0.5)
    assert figures["units_per_s"] == pytest.approx(5 * figures["instances_per_s"])
    assert "load_cpu_ms_per_unit" not in figures
    assert len(outcome.latencies_us) == 10
    assert parts.told == sorted(parts.told)
    assert parts.told[-1][0] == 1.0


async def test_what_the_engine_does_until_all_loads_are_over_is_counted() -> None:
    engine = Pretender()

    async def over() -> None:
        # Instances of another load that this engine worked on.
        engine.started += 10

    tally = await load.tally_loop(engine, BY_NAME["W1"], Extent(seconds=1, instances=10), Parts(), over)
    assert len(tally.spans) == 10
    assert tally.engine.cpu_s == pytest.approx(20 * 0.01)
    assert tally.counts == Counts(commits=40, turns=120, rows=60)


async def test_a_wrong_result_makes_the_measurement_void() -> None:
    with pytest.raises(load.WrongResult) as caught:
        await load.run_loop(Pretender(output=4), BY_NAME["W1"], Extent(seconds=1, instances=10), Parts())
    assert str(caught.value) == "instance i1 returned 4 and should have returned 5"


async def test_every_instance_that_waits_gets_one_event() -> None:
    events = BY_NAME["W4"]
    engine = Pretender(output=events.output)
    outcome = await load.run_events(engine, replace(events, in_flight=4), Extent(seconds=1, instances=9), Parts())
    assert sorted(engine.raised) == [(f"i{number}", "go", events.output) for number in range(1, 10)]
    assert outcome.figures["instances"] == 9


@pytest.mark.parametrize(
    ("oversleep_us", "arrivals_us", "late_us", "slept_s"),
    [
        (0, [0, 5_000, 9_000], [0, 0, 0], [0.005, 0.004]),
        # Kept from its work for 40 ms whenever it sleeps, the load is late, and still tells each item its own time.
        (40_000, [10_000, 20_000, 30_000], [40_000, 30_000, 20_000], [0.01]),
        # It does not spin until an arrival that is near.
        (0, [10], [990], [0.001]),
    ],
)
async def test_an_open_loop_begins_each_item_when_it_is_due_whatever_is_under_way(
    oversleep_us: int,
    arrivals_us: list[int],
    late_us: list[int],
    slept_s: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, all_begun = Clockwork(oversleep_us=oversleep_us), anyio.Event()
    monkeypatch.setattr(anyio, "sleep", engine.sleep)
    told_us: list[int] = []

    # Given items that do not end before all have begun,
    async def item(due_us: int) -> None:
        told_us.append(due_us)
        if len(told_us) == len(arrivals_us):
            all_begun.set()
        await all_begun.wait()

    shares: list[float] = []
    found_us: list[int] = []
    with anyio.fail_after(5):
        await load.open_loop(engine, item, shares.append, arrivals_us=arrivals_us, late_us=found_us)
    # then each gets its due time, and the lateness of the load is known.
    assert (sorted(told_us), sorted(found_us), engine.slept_s) == (arrivals_us, sorted(late_us), slept_s)
    assert shares == [number / len(arrivals_us) for number in range(1, len(arrivals_us) + 1)]


def test_arrivals_are_as_many_as_asked_for_in_bursts_and_gaps_and_always_the_same() -> None:
    moments_us = load.arrivals_of(1_000.0, Extent(seconds=2.0))
    assert moments_us == load.arrivals_of(1_000.0, Extent(seconds=2.0))
    assert moments_us == sorted(moments_us)
    assert (len(moments_us), moments_us[0] >= 0, moments_us[-1] <= 2_000_000) == (2_000, True, True)
    gaps_us = [later - earlier for earlier, later in pairwise(moments_us)]
    # Of a Poisson process, one gap in e is longer than the mean one.
    assert sum(gap_us > 1_000 for gap_us in gaps_us) / len(gaps_us) == pytest.approx(1 / e, abs=0.05)
    # A number of items takes as long as it needs.
    assert 4_000_000 < load.arrivals_of(10.0, Extent(seconds=1.0, instances=50))[49] <= 5_000_000


@pytest.mark.parametrize(
    ("spans_us", "expected"),
    [
        ([(0, 5)], load.Backlog(1, 1)),
        ([(0, 5), (10, 5), (20, 5)], load.Backlog(1, 1)),
        ([(0, 10), (10, 10)], load.Backlog(1, 1)),
        ([(0, 100), (10, 100), (20, 100)], load.Backlog(3, 3)),
        ([(0, 15), (10, 15), (20, 1), (50, 1)], load.Backlog(2, 1)),
    ],
)
def test_the_backlog_is_what_was_due_and_not_over(spans_us: list[tuple[int, int]], expected: load.Backlog) -> None:
    assert load.backlog([Span(due_us, due_us + took_us) for due_us, took_us in spans_us]) == expected


async def test_a_rate_shows_what_was_due_what_ended_and_what_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an engine that ends all items at one moment, long after the last arrival,
    engine, parts = Clockwork(), Parts()
    monkeypatch.setattr(anyio, "sleep", engine.sleep)

    async def ends(instance_ids: Sequence[str]) -> list[load.End]:
        return [load.End(10_000_000, 5) for _ in instance_ids]

    monkeypatch.setattr(engine, "ends", ends)
    # when a hundred arrive within a second,
    outcome = await load.run_open(engine, BY_NAME["W1"].with_rate(100.0), Extent(seconds=1.0), parts)
    # then each has waited since its due time.
    figures = outcome.figures
    assert (figures["offered_per_s"], figures["instances"]) == (100.0, 100)
    assert (figures["backlog_max"], figures["backlog_end"]) == (100, 100)
    assert 9 < figures["instances_per_s"] < 11
    dues_us = load.arrivals_of(100.0, Extent(seconds=1.0))
    assert sorted(outcome.latencies_us, reverse=True) == [10_000_000 - due_us for due_us in dues_us]
    assert figures["sent_late_max_ms"] <= 1.0
    assert parts.told[-1][0] == 1.0

"""A run: each kind of workload finds its way to its driver."""

import os
from pathlib import Path

import pytest

from perdure.benchmarks.run import AT_SCALE, Run, perform
from perdure.benchmarks.workloads.table import BY_NAME, WORKLOADS
from perdure.benchmarks.workloads.workload import BASIC, Shape

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Parts:
    def part(self, share: float, units: int) -> None:
        assert 0 <= share <= 1


def test_every_workload_of_scale_can_be_run_by_each_of_its_drivers() -> None:
    driven = (Shape.LOOP, Shape.OPEN, Shape.EVENTS, Shape.SLEEP, Shape.CRASH)
    needed = {(workload.shape, driver) for workload in WORKLOADS for driver in workload.drivers}
    assert {pair for pair in needed if pair[0] not in driven} == AT_SCALE.keys()


@pytest.mark.parametrize(
    ("workload", "driver", "figure"),
    [
        ("W1", "process", "units_per_commit"),
        ("W3", "http", "load_cpu_ms_per_unit"),
        ("W4", "process", "units_per_s"),
    ],
)
async def test_a_run_comes_to_figures(workload: str, driver: str, figure: str, tmp_path: Path) -> None:
    run = Run(
        workload=workload,
        driver=driver,
        in_flight=1 if workload == "W3" else 5,
        seconds=1.0,
        instances=10,
        durability="full",
        always_replay=False,
    )
    outcome = await perform(run, tmp_path, Parts())
    assert outcome.figures["instances"] == 10
    assert figure in outcome.figures
    assert len(outcome.latencies_us) == 10


@pytest.mark.parametrize(
    ("workload", "driver", "rate"), [("W2", "process", None), ("W2", "http", None), ("W3", "http", 200.0)]
)
async def test_several_processes_carry_out_a_run_together(
    workload: str, driver: str, rate: float | None, tmp_path: Path
) -> None:
    run = Run(
        workload=workload,
        driver=driver,
        in_flight=3,
        seconds=1.0,
        instances=10,
        durability="full",
        always_replay=False,
        rate=rate,
        processes=2,
    )
    outcome = await perform(run, tmp_path, Parts())
    assert outcome.figures["instances"] == 10
    # Of each there are two, with a Python in it.
    assert outcome.figures["rss_mib"] > 40
    files = {file.name for file in os.scandir(tmp_path)}
    assert {"perdure.db", "perdure.db.1"} <= files


@pytest.mark.parametrize("driver", ["process", "http"])
async def test_a_run_at_a_rate_shows_what_was_due_and_what_became_of_it(driver: str, tmp_path: Path) -> None:
    run = Run(
        workload="W3",
        driver=driver,
        in_flight=1,
        seconds=1.0,
        instances=10,
        durability="full",
        always_replay=False,
        rate=200.0,
    )
    outcome = await perform(run, tmp_path, Parts())
    assert outcome.figures["offered_per_s"] == 200
    assert outcome.figures["instances"] == 10
    assert 1 <= outcome.figures["backlog_max"] <= 10
    assert outcome.figures["sent_late_p99_ms"] >= 0


# "delay" takes five seconds, and its workflow is tested with the app.
@pytest.mark.parametrize(
    "name",
    [of.name for of in WORKLOADS if of.suite != BASIC and of.shape is Shape.LOOP and of.title != "delay"],
)
async def test_each_other_loop_returns_what_it_should(name: str, tmp_path: Path) -> None:
    # Given one of them,
    run = Run(
        workload=name,
        driver="process",
        in_flight=BY_NAME[name].in_flight,
        seconds=1.0,
        instances=1,
        durability="relaxed",
        always_replay=False,
    )
    # when it is run, then its result is checked, and it comes to figures.
    outcome = await perform(run, tmp_path, Parts())
    assert outcome.figures["instances"] == 1

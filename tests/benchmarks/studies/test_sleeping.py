"""Sleepers: they fall asleep beyond what may be in memory, and those that are due wake, none early."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from perdure.benchmarks.drivers.in_process import EngineSetup, process_driver
from perdure.benchmarks.drivers.load import WrongResult
from perdure.benchmarks.studies import sleeping
from perdure.benchmarks.workloads.table import BY_NAME
from perdure.benchmarks.workloads.workload import Extent

from ...support.benchmarks.results import Parts

pytestmark = pytest.mark.anyio

STORM = BY_NAME["S4"]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sleeping, "SETTLE_S", 0.01)


async def test_a_fleet_sleeps_in_the_store_and_wakers_are_never_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sleeping, "ONE_BY_ONE_LEAD_S", 0.1)
    parts, workload = Parts(), replace(BY_NAME["W5"], in_flight=20)
    outcome = await sleeping.run_sleepers(
        EngineSetup(folder=tmp_path), workload, Extent(seconds=0.05, instances=100), parts
    )
    assert (outcome.figures["instances"], outcome.figures["wakers"]) == (100, len(outcome.latencies_us))
    assert min(outcome.latencies_us) >= 0
    assert {"kib_per_sleeper", "late_p50_ms", "late_p99_ms"} <= outcome.figures.keys()
    assert parts.told[-1] == (1.0, 100)


async def test_every_timer_of_a_storm_fires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sleeping, "STORM_LEAD_S", 2.0)
    parts = Parts()
    outcome = await sleeping.run_timer_storm(
        EngineSetup(folder=tmp_path), STORM, Extent(seconds=1, instances=100), parts
    )
    assert outcome.figures["instances"] == len(outcome.latencies_us) == 100
    assert outcome.figures["reminders_per_s"] == pytest.approx(100 / outcome.figures["elapsed_s"])
    # Each of them took its turn before the last of them was durable.
    assert 0 <= min(outcome.latencies_us) <= max(outcome.latencies_us) <= outcome.figures["elapsed_s"] * 1e6
    assert 1 <= outcome.figures["units_per_commit"] <= 100
    assert parts.told[-1] == (1.0, 100)


@pytest.mark.slow
async def test_a_quarter_of_a_small_fleet_wakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sleeping, "FLEET_LEAD_S", 3.0)
    parts = Parts()
    outcome = await sleeping.run_fleet(
        EngineSetup(folder=tmp_path), BY_NAME["S7"], Extent(seconds=1, instances=200), parts
    )
    assert outcome.figures["instances"] == 200
    assert outcome.figures["wakers"] == len(outcome.latencies_us) == 50
    assert outcome.figures["awake_s"] * 1e6 >= max(outcome.latencies_us)
    assert parts.told[-1][0] == 1.0


async def test_what_is_still_in_the_wal_counts_as_stored(tmp_path: Path) -> None:
    setup = EngineSetup(folder=tmp_path)
    async with process_driver(setup) as driver:
        empty = sleeping.stored_bytes(setup.store)
        await sleeping.put_to_sleep(driver, STORM, 200)
        full = sleeping.stored_bytes(setup.store)
        assert setup.store.stat().st_size < full
    assert full > empty + 200 * 100
    # When the engine has stopped, the file is all there is.
    assert setup.store.stat().st_size == sleeping.stored_bytes(setup.store) == full


async def test_a_wake_that_cannot_be_measured_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sleeping, "PATIENCE_S", 0.01)
    async with process_driver(EngineSetup(folder=tmp_path)) as driver:
        # It was due before all were asleep;
        with pytest.raises(sleeping.TooSlow, match="1 instances were not asleep before"):
            await sleeping.wake_all(driver, ["anybody"], datetime.now(UTC))
        # it does not wake;
        with pytest.raises(sleeping.TooSlow, match="only 0 of 1 woke"):
            await sleeping.wake_all(driver, ["nobody"], sleeping.in_so_many_s(0.5))
        # it sleeps on.
        [instance_id] = await sleeping.put_to_sleep(driver, STORM, 1, datetime.now(UTC) + timedelta(days=1))
        [state] = await sleeping.states(driver, [instance_id])
    with pytest.raises(WrongResult):
        sleeping.lateness_us(state)

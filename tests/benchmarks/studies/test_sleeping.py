"""Sleepers: more fall asleep than memory may hold, and the due ones wake, none early."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perdure.benchmarks.drivers.in_process import EngineSetup, process_driver
from perdure.benchmarks.drivers.load import WrongResult
from perdure.benchmarks.studies import sleeping
from perdure.benchmarks.workloads.table import BY_NAME

from ...support.benchmarks.results import Parts, performed

pytestmark = pytest.mark.anyio

STORM = BY_NAME["S4"]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"SETTLE_S": 0.01, "ONE_BY_ONE_LEAD_S": 0.1, "STORM_LEAD_S": 2.0, "FLEET_LEAD_S": 3.0}.items():
        monkeypatch.setattr(sleeping, name, seconds)


@pytest.mark.parametrize(
    ("workload", "options", "woken", "figures"),
    [
        ("W5", {"seconds": 0.05, "in_flight": 20}, 5, {"kib_per_sleeper", "late_p50_ms", "late_p99_ms"}),
        ("S4", {}, 100, {"reminders_per_s", "cpu_ms_per_unit", "units_per_commit"}),
        # A quarter of a small fleet wakes.
        pytest.param("S7", {}, 25, {"awake_s", "rss_bytes_per_sleeper"}, marks=pytest.mark.slow),
    ],
)
async def test_a_fleet_sleeps_in_the_store_and_those_that_are_due_wake_and_none_early(
    workload: str, options: dict[str, Any], woken: int, figures: set[str], tmp_path: Path
) -> None:
    parts = Parts()
    outcome = await performed(tmp_path, workload, parts=parts, **({"seconds": 1.0, "instances": 100} | options))
    assert (outcome.figures["instances"], len(outcome.latencies_us)) == (100, woken)
    assert figures <= outcome.figures.keys()
    # Each of them took its turn before the last of them was durable.
    awake_s = outcome.figures["awake_s" if "awake_s" in figures else "elapsed_s"]
    assert min(outcome.latencies_us) >= 0
    assert max(outcome.latencies_us) <= awake_s * 1e6 or workload == "W5"
    assert parts.told[-1][0] == 1.0


async def test_commits_in_the_wal_count_as_stored(tmp_path: Path) -> None:
    setup = EngineSetup(folder=tmp_path)
    async with process_driver(setup) as driver:
        empty = sleeping.stored_bytes(setup.store)
        await sleeping.put_to_sleep(driver, STORM, 200)
        full = sleeping.stored_bytes(setup.store)
        assert setup.store.stat().st_size < full
    assert full > empty + 200 * 100
    # When the engine has stopped, only the file is left.
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

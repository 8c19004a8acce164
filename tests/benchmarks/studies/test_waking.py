"""Waking: who is due at once wakes, and what is read of them is how late they were."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from perdure.benchmarks.drivers.load import WrongResult
from perdure.benchmarks.drivers.process_driver import EngineSetup, process_driver
from perdure.benchmarks.studies.waking import TooSlow, in_so_many_s, lateness_us, sleepers_until, states, wake_all
from perdure.benchmarks.workloads.table import BY_NAME

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_all_wake_and_their_ends_are_durable(tmp_path: Path) -> None:
    async with process_driver(EngineSetup(folder=tmp_path)) as driver:
        due = in_so_many_s(4)
        instance_ids = await sleepers_until(driver, BY_NAME["S4"], 20, due)
        waking = await wake_all(driver, instance_ids, due)
    assert len(set(instance_ids)) == len(waking.late_us) == 20
    # Each of them took its turn before the last of them was durable.
    assert 0 <= min(waking.late_us) <= max(waking.late_us) <= waking.awake_s * 1e6
    assert waking.commits >= 1


async def test_who_was_due_before_all_were_asleep_is_not_measured(tmp_path: Path) -> None:
    async with process_driver(EngineSetup(folder=tmp_path)) as driver:
        with pytest.raises(TooSlow, match="1 instances were not asleep before"):
            await wake_all(driver, ["anybody"], datetime.now(UTC))


async def test_an_instance_that_sleeps_on_is_a_wrong_result(tmp_path: Path) -> None:
    async with process_driver(EngineSetup(folder=tmp_path)) as driver:
        [instance_id] = await sleepers_until(driver, BY_NAME["S4"], 1, datetime.now(UTC) + timedelta(days=1))
        [state] = await states(driver, [instance_id])
    with pytest.raises(WrongResult):
        lateness_us(state)


async def test_who_does_not_wake_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.benchmarks.studies.waking.PATIENCE_S", 0.01)
    async with process_driver(EngineSetup(folder=tmp_path)) as driver:
        with pytest.raises(TooSlow, match="only 0 of 1 woke"):
            await wake_all(driver, ["nobody"], in_so_many_s(0.5))

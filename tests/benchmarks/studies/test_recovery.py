"""Recovery at scale: whoever was in the middle of its work goes on after a kill -9."""

from collections import Counter
from pathlib import Path

import pytest

from perdure.benchmarks.drivers.load import Extent
from perdure.benchmarks.drivers.process_driver import EngineSetup
from perdure.benchmarks.studies.recovery import held_in, run_recovery, steps_lost
from perdure.benchmarks.workloads.table import BY_NAME

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Parts:
    def part(self, share: float, units: int) -> None:
        assert 0 <= share <= 1


async def test_all_take_a_new_step_and_none_is_lost(tmp_path: Path) -> None:
    outcome = await run_recovery(EngineSetup(folder=tmp_path), BY_NAME["S9"], Extent(seconds=1, instances=60), Parts())
    figures = outcome.figures
    assert (figures["instances"], figures["steps_lost"]) == (60, 0)
    # Each was held in its second step by the first daemon, and so began it again in the second.
    assert figures["steps_repeated"] == 60
    assert 0 < figures["ready_s"] <= figures["moving_s"]


def test_a_step_is_lost_if_it_is_missing_or_its_result_was_forgotten() -> None:
    whole = Counter({("a", "1"): 1, ("a", "2"): 2, ("a", "3"): 1})
    assert steps_lost(whole, ["a"]) == 0
    assert steps_lost(Counter({("a", "1"): 1, ("a", "2"): 1}), ["a"]) == 1
    assert steps_lost(whole + Counter({("a", "1"): 1}), ["a"]) == 1
    assert steps_lost(whole, ["a", "b"]) == 3


def test_those_in_the_step_that_is_held_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "bodies"
    assert held_in(log) == 0
    log.write_text("a 1\nb 1\na 2\n")
    assert held_in(log) == 1

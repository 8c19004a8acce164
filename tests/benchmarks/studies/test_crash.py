"""The crash: what was acknowledged before a kill -9 is all there after it."""

from pathlib import Path

import pytest

from perdure.benchmarks.drivers.load import Extent
from perdure.benchmarks.drivers.process_driver import EngineSetup
from perdure.benchmarks.studies.crash import bodies_run, run_crash
from perdure.benchmarks.workloads.table import BY_NAME

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Parts:
    def part(self, share: float, units: int) -> None:
        assert 0 <= share <= 1


async def test_no_step_is_lost(tmp_path: Path) -> None:
    outcome = await run_crash(EngineSetup(folder=tmp_path), BY_NAME["W6"], Extent(seconds=1, instances=200), Parts())
    figures = outcome.figures
    assert figures["instances"] >= 100
    assert figures["steps_lost"] == 0
    assert 0 < figures["ready_s"] <= figures["recovered_s"]


def test_bodies_are_counted_by_step(tmp_path: Path) -> None:
    log = tmp_path / "bodies"
    log.write_text("a 1\na 2\nb 1\na 2\n")
    assert bodies_run(log) == {("a", "1"): 1, ("a", "2"): 2, ("b", "1"): 1}

"""kill -9: what was acknowledged goes on after it, and no step is lost."""

from collections import Counter
from pathlib import Path

import pytest

from perdure.benchmarks.drivers.in_process import EngineSetup
from perdure.benchmarks.studies import kills
from perdure.benchmarks.workloads.table import BY_NAME
from perdure.benchmarks.workloads.workload import Extent

from ...support.benchmarks.results import Parts

pytestmark = pytest.mark.anyio


async def test_no_step_of_a_loop_is_lost(tmp_path: Path) -> None:
    extent = Extent(seconds=1, instances=200)
    figures = (await kills.run_crash(EngineSetup(folder=tmp_path), BY_NAME["W6"], extent, Parts())).figures
    assert figures["instances"] >= 100
    assert figures["steps_lost"] == 0
    assert 0 < figures["ready_s"] <= figures["recovered_s"]


async def test_all_that_were_at_work_take_a_new_step(tmp_path: Path) -> None:
    extent = Extent(seconds=1, instances=60)
    figures = (await kills.run_recovery(EngineSetup(folder=tmp_path), BY_NAME["S9"], extent, Parts())).figures
    assert (figures["instances"], figures["steps_lost"]) == (60, 0)
    # Each was held in its second step by the first daemon, and so began it again in the second.
    assert figures["steps_repeated"] == 60
    assert 0 < figures["ready_s"] <= figures["moving_s"]


def test_bodies_are_counted_by_step_and_those_in_the_step_that_is_held(tmp_path: Path) -> None:
    log = tmp_path / "bodies"
    assert kills.held_in(log) == 0
    log.write_text("a 1\na 2\nb 1\na 2\n")
    assert kills.bodies_run(log) == {("a", "1"): 1, ("a", "2"): 2, ("b", "1"): 1}
    assert (kills.held_in(log), kills.repeated(kills.bodies_run(log))) == (1, 1)


@pytest.mark.parametrize(
    ("more", "instance_ids", "lost"),
    [
        ({}, ["a"], 0),
        ({("a", "3"): -1}, ["a"], 1),  # it is missing,
        ({("a", "1"): 1}, ["a"], 1),  # or its result was forgotten
        ({}, ["a", "b"], 3),
    ],
)
def test_a_step_is_lost_if_it_is_missing_or_its_result_was_forgotten(
    more: dict[tuple[str, str], int], instance_ids: list[str], lost: int
) -> None:
    bodies = Counter({("a", "1"): 1, ("a", "2"): 2, ("a", "3"): 1})
    bodies.update(more)
    bodies = +bodies
    assert kills.missing(bodies, instance_ids, 3) + kills.forgotten(bodies, instance_ids) == lost

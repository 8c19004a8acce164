"""kill -9: acknowledged instances continue after it, and no step is lost."""

from collections import Counter
from pathlib import Path

import pytest

from perdure.benchmarks.studies import kills

from ...support.benchmarks.results import performed


@pytest.mark.anyio
async def test_no_step_of_a_loop_is_lost(tmp_path: Path) -> None:
    figures = (await performed(tmp_path, "W6", "http", instances=200)).figures
    assert figures["instances"] >= 100
    assert figures["steps_lost"] == 0
    assert 0 < figures["ready_s"] <= figures["recovered_s"]


@pytest.mark.anyio
async def test_all_that_were_at_work_take_a_new_step(tmp_path: Path) -> None:
    figures = (await performed(tmp_path, "S9", "http", instances=60)).figures
    # The first daemon held each instance in its second step, so the step began again in the second daemon.
    assert (figures["instances"], figures["steps_lost"], figures["steps_repeated"]) == (60, 0, 60)
    assert 0 < figures["ready_s"] <= figures["moving_s"]


def test_bodies_are_counted_by_step_and_those_in_the_step_that_is_held(tmp_path: Path) -> None:
    log = tmp_path / "bodies"
    assert kills.held_in(log) == 0
    log.write_text("a 1\na 2\nb 1\na 2\n")
    assert kills.bodies_run(log) == {("a", "1"): 1, ("a", "2"): 2, ("b", "1"): 1}
    assert (kills.held_in(log), kills.repeated(kills.bodies_run(log))) == (1, 1)


@pytest.mark.parametrize(
    ("bodies", "instance_ids", "lost"),
    [
        ("a1 a2 a2 a3", "a", 0),
        ("a1 a2 a2", "a", 1),  # a step is missing,
        ("a1 a1 a2 a2 a3", "a", 1),  # or the result of the first was forgotten
        ("a1 a2 a2 a3", "ab", 3),
    ],
)
def test_a_step_is_lost_if_it_is_missing_or_its_result_was_forgotten(bodies: str, instance_ids: str, lost: int) -> None:
    found = Counter((body[0], body[1]) for body in bodies.split())
    assert kills.missing(found, instance_ids, 3) + kills.forgotten(found, instance_ids) == lost

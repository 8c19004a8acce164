"""An hour of figures: the counts of each step, and the state at its end, of all hosts together."""

from typing import Any

import anyio
import pytest

from perdure import App, Engine, WorkflowContext
from perdure.runtime.errors import InvalidRequest
from perdure.runtime.operations.overview.reports import HostReport
from perdure.runtime.operations.overview.series import NAMES, STEPS, Sample, add_up, by_workflow, merged, of_host
from perdure.runtime.workers.activity_figures import ActivityLoad

pytestmark = pytest.mark.anyio


def samples(*figures: tuple[int, float], name: str = "started") -> list[Sample]:
    return [Sample(step, {name: value}, {}) for step, value in figures]


@pytest.mark.parametrize(
    ("figures", "steps", "expected"),
    [
        ([(10, 5), (11, 7), (12, 7), (13, 10)], 1, [2, 0, 3]),
        ([(10, 5), (12, 7), (13, 10)], 1, [None, None, 3]),  # a step is missing
        ([(10, 5), (11, 7), (12, 7), (13, 10)], 3, [5]),
        ([], 1, [None, None, None]),
    ],
)
def test_what_is_counted_is_what_was_added_in_a_step(
    figures: list[tuple[int, float]], steps: int, expected: list[float | None]
) -> None:
    assert of_host(samples(*figures), "started", range(10, 13, steps), steps) == expected


def test_what_is_measured_is_what_was_so_at_the_end_and_of_times_the_longest() -> None:
    of_times = samples((11, 4), (12, 9), (13, 2), name="commit_p99_ms")
    assert of_host(of_times, "commit_p99_ms", range(10, 13, 3), 3) == [9]
    workers = samples((11, 4), (12, 9), (13, 2), name="workers")
    assert of_host(workers, "workers", range(10, 13, 3), 3) == [2]
    assert of_host(workers, "workers", range(10, 14, 1), 1) == [4, 9, 2, None]


def test_hosts_are_put_together_as_far_as_they_know() -> None:
    assert merged([1.0, None, 2.0], sum) == 3.0
    assert merged([1.0, None, 2.0], max) == 2.0
    assert merged([None, None], sum) is None


def report(began: dict[str, int], ended: dict[tuple[str, str], int], **more: Any) -> HostReport:
    values: dict[str, Any] = {
        **dict.fromkeys(("pid", "began_us", "shards", "activations", "turns", "commits"), 0),
        "name": "local",
        "healthy": True,
        "workers": (),
        "loads": {"charge": ActivityLoad(2, 3, 1)},
        "attempts": {},
        "began": began,
        "ended": ended,
        "store": None,
        "release": "1.0",
        "kills": None,
        **more,
    }
    return HostReport(**values)


def test_what_becomes_of_instances_is_counted_by_workflow() -> None:
    counted = by_workflow(
        report({"Order": 5}, {("Order", "COMPLETED"): 2, ("Order", "CANCELED"): 1, ("Old", "FAILED"): 1})
    )
    assert counted == {"Order": (5, 2, 0, 0), "Old": (0, 0, 1, 0)}
    total: dict[str, list[int]] = {"Order": [1, 0, 0, 1]}
    add_up(total, counted)
    assert total == {"Order": [6, 2, 0, 1], "Old": [0, 0, 1, 0]}


app = App("shop")


@app.workflow
async def order(ctx: WorkflowContext) -> None:
    pass


async def test_a_series_has_whole_steps_and_every_name() -> None:
    with anyio.fail_after(10):
        async with Engine(app, data=":memory:") as engine:
            series = engine.management.series
            step = int(engine._clock.now_us() / 1e7)
            # Given a sample before and one after an instance,
            series.sample(step - 1)
            await engine.client.run(order)
            series.sample(step)
            # when the last minute is read, then it has an end for each step, and the newest has the instance.
            page = await series.read(NAMES, window_s=60, step_s=10)
            assert page.values.keys() == NAMES.keys()
            assert {len(values) for values in page.values.values()} == {6}
            newest = {
                name: [value for value in values if value is not None][-1] for name, values in page.values.items()
            }
            assert (newest["started"], newest["completed"], newest["failed"]) == (1, 1, 0)
            assert newest["commits"] >= 1
            assert newest["commit_p99_ms"] > 0


@pytest.mark.parametrize(("window_s", "step_s"), [(60, 7), (60, 0), (60, 120), (3601, 10), (0, 10)])
async def test_a_step_that_is_none_is_refused(window_s: int, step_s: int) -> None:
    series = Engine(app, data=":memory:").management.series
    with pytest.raises(InvalidRequest):
        await series.read(["turns"], window_s=window_s, step_s=step_s)


async def test_the_memory_of_an_hour_is_bounded() -> None:
    series = Engine(app, data=":memory:").management.series
    assert await series.before_the_hour() == {}
    for step in range(STEPS + 50):
        series.sample(step)
    assert len(series.own()) == STEPS + 1

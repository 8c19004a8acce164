"""A stopwatch tells the loop's time, and runs ahead where the choices say so."""

from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.loop import SimLoop
from perdure.testing.simulation.machines.stopwatch import SLICE_S, SimStopwatch


def test_it_runs_ahead_at_a_look_and_never_back() -> None:
    stopwatch = SimStopwatch(SimLoop(), Choices(schedule={("slice.ends", 1): 1}))  # type: ignore[abstract]
    assert [stopwatch() for _ in range(3)] == [0.0, SLICE_S, SLICE_S]

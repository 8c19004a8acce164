"""The session that a simulated test runs in: how much it tries, and where its findings go.

The rule: a test that is called as a plain function, by no plugin, has the defaults.

`testing/plugin.py` makes one of the options of pytest.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path


def _nobody(text: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSession:
    """The options of a test run."""

    node: str | None = None  # what pytest calls the test; None: it is not run by pytest
    root: Path | None = None  # the folder in which `.perdure` lies
    seeds: int | None = None  # in place of the test's own
    minutes: float | None = None  # go on with seeds for this time
    jobs: int = 1  # processes that share the seeds
    seed: int | None = None  # this world only
    schedule: Path | None = None  # these schedules only
    trace: bool = False  # write down each step
    outcome: Path | None = None  # the file in which a process that confirms a failure writes the outcome
    again: tuple[str, ...] = ()  # the function that runs the test again, in a process of its own
    tell: Callable[[str], None] = _nobody  # takes the lines to be shown at the end


SESSION: ContextVar[SimulationSession] = ContextVar("perdure_simulation_session", default=SimulationSession())  # noqa: B039  frozen

"""Worlds of a kind as attempts, for the searches of `testing/simulation/search/`, and schedules that are kept."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from perdure.testing.simulation.choices import Choices, Schedule, read_schedule
from perdure.testing.simulation.search.attempt import Attempt, Run, innermost

from .kinds import scenario_of

SCHEDULES = Path(__file__).parent / "schedules"


def run_of(kind: str, **named: Any) -> Run:
    """Runs a world of a kind.

    Args:
        named: Further arguments of `Scenario`.

    Returns:
        Runs it. The facts of an attempt are its `Outcome`.
    """

    def run(choices: Choices) -> Attempt:
        error: Exception | None = None
        with scenario_of(kind, choices, **named) as scenario:
            try:
                scenario.run()
            except Exception as raised:
                error = innermost(raised)
            trace = scenario.world.trace
        return Attempt(error, trace.digest, trace.lines, choices, scenario.outcome())

    return run


class KeptSchedule(NamedTuple):
    """A schedule that has failed once.

    Args:
        fault: The fault that it has found.
        mutant: The same bug as a planted one, if there is one.
    """

    kind: str
    fault: str
    mutant: str | None
    schedule: Schedule


def kept_schedules() -> Iterator[KeptSchedule]:
    """All schedules of the folder: of each kind of world a file, with lines `fault | mutant or - | schedule`."""
    for path in sorted(SCHEDULES.glob("*.txt")):
        for line in path.read_text().splitlines():
            if line.strip() and not line.startswith("#"):
                fault, mutant, schedule = (part.strip() for part in line.split("|"))
                yield KeptSchedule(path.stem, fault, None if mutant == "-" else mutant, read_schedule(schedule))

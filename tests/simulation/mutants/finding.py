"""Looks for a planted bug in its worlds."""

from collections.abc import Iterable
from typing import NamedTuple

from perdure.testing.simulation.choices import Choices

from ..checks.broken import Broken
from ..kinds import scenario_of, short_rest
from ..programs import INTERRUPT
from .catalogue import Mutant, planted

# Small worlds and large ones in turn: some bugs need a crowd, others are lost in one.
SIZES = (12, 30)


class Find(NamedTuple):
    """How a mutant was found.

    Args:
        world: Which of its worlds, from 1.
        steps: The number of steps that this took.
    """

    world: int
    broken: Broken
    steps: int


def found(mutant: Mutant, worlds: Iterable[int]) -> Find | None:
    """The first of some worlds in which a planted bug is found, and how; None if no world finds it.

    Args:
        worlds: Their numbers, from 1.
    """
    with planted(mutant):
        return next(filter(None, (_found_in(mutant, world) for world in worlds)), None)


def _found_in(mutant: Mutant, world: int) -> Find | None:
    choices = Choices((world - 1) // 2, rates=mutant.rates)
    named = {"instances_max": SIZES[(world - 1) % 2], "standings": 3, **short_rest(mutant.kind), **mutant.named}
    with scenario_of(mutant.kind, choices, **named) as scenario:
        try:
            scenario.run()
        except (Broken, BaseExceptionGroup) as error:
            broken = _first_broken(error)
            if broken is None:
                raise
        except KeyboardInterrupt as interrupt:
            if str(interrupt) != INTERRUPT:
                raise  # an interruption of the tests
            broken = Broken("E16", "the interrupt of an activity has ended the whole world")
        else:
            return None
        return Find(world, broken, scenario.world.loop.steps)


def _first_broken(error: BaseException) -> Broken | None:
    if isinstance(error, Broken):
        return error
    inside = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next(filter(None, map(_first_broken, inside)), None)

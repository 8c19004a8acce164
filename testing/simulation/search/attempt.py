"""An attempt: one world, run to its end or to its failure.

The rule: a failure is believed once it has happened twice, step by step the same.
"""

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..choices import Choices, Schedule
from ..trace import TracedLine
from ..wall import WorldTooLong
from ..world import SimWorld


class Attempt(NamedTuple):
    """The outcome of a world.

    Args:
        error: The error of its story; None: it is green.
        digest: The hash of its steps and commits.
        lines: The events.
        choices: The choices that were made in it.
        facts: Further facts of the run, for the report.
    """

    error: Exception | None
    digest: str
    lines: Sequence[TracedLine]
    choices: Choices
    facts: Any = None

    @property
    def story(self) -> str:
        """Its lines, one below the other."""
        return "\n".join(map(str, self.lines))


# Makes a world of the given choices, and runs it.
Run: TypeAlias = Callable[[Choices], Attempt]


def attempt(make: Callable[[Choices], SimWorld], story: Callable[[SimWorld], Coroutine[Any, Any, Any]]) -> Run:
    """A run of a story: each time in a new world, with the objects that `make` makes beside it."""

    def run(choices: Choices) -> Attempt:
        world = make(choices)
        error: Exception | None = None
        try:
            world.run(story)
        except Exception as raised:
            error = innermost(raised)
        return Attempt(error, world.trace.digest, world.trace.lines, choices)

    return run


def innermost(error: Exception) -> Exception:
    """The first error in a group, at any depth; else the error."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


# Numbers, and addresses of objects: to a plain `assert` pytest adds its objects, perhaps cut short.
NUMBERS = re.compile(r"(?:0x|\.\.\.)[0-9a-fA-F]+|[0-9]+")


def signature(error: Exception) -> str:
    """The part that two equal failures have in common: the class, and the text without numbers and addresses."""
    return f"{type(error).__qualname__}: {NUMBERS.sub('#', text_of(error))}"


def text_of(error: Exception) -> str:
    """The text of an error; of one whose class cannot make it, the reason."""
    try:
        return str(error)
    except Exception as broken:
        return f"its text cannot be made: {type(broken).__name__} in {type(error).__qualname__}.__str__"


class NotRepeatable(Exception):
    """A world failed, and did not do the same again: something in it does not follow from its choices.

    Args:
        first, again: The two runs.
    """

    def __init__(self, first: Attempt, again: Attempt) -> None:
        super().__init__(first, again)
        self.first = first
        self.again = again

    def __str__(self) -> str:
        one, other = (_told(run.error) for run in (self.first, self.again))
        ways = f"in two ways: {one}, and then {other}" if one != other else f"{one} twice, and not in the same steps"
        return (
            f"a world of the same choices came out {ways}. Something in it is not up to its choices: the machine's "
            "time or chance, an address of an object, the order of a set, or what an earlier world has left behind, as "
            "in a variable of a module."
        )


def _told(error: Exception | None) -> str:
    return "green" if error is None else f"with {type(error).__name__}: {text_of(error)}"


def failing_again(run: Run, schedule: Mapping[tuple[str, int], int]) -> Attempt | None:
    """Run a schedule; if it fails, once more. One that took too long is not run again, because that depends on the
    machine.

    Returns:
        The attempt that failed; None: it is green.

    Raises:
        NotRepeatable: It did not do the same again.
    """
    first = run(Choices(schedule=schedule))
    if first.error is None:
        return None
    if isinstance(first.error, WorldTooLong):
        return first
    again = run(Choices(schedule=schedule))
    if again.error is None or again.digest != first.digest or signature(again.error) != signature(first.error):
        raise NotRepeatable(first, again)
    return first


class FoundFailure(NamedTuple):
    """A failure that was found.

    Args:
        schedule: Replays it.
        error: The error of the story.
        story: The events, for people.
        runs: How many worlds were run to find it, or to make it smaller.
        attempt: The world in which it was seen last.
    """

    schedule: Schedule
    error: Exception
    story: str
    runs: int
    attempt: Attempt | None = None

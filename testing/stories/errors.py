"""The errors of a simulation, by who can mend it.

SimulationFailed     a world broke something: the app, or the story, is to be mended
InvariantFailed      a check of `world.always` or `world.finally_`, or a rule of the engine, does not hold
Escaped              code used a part of the machine that a world does not have
SimulationMisuse     a request that a simulation cannot fulfil
"""


class SimulationFailed(AssertionError):
    """A world in which something is broken, told as a story."""


class InvariantFailed(AssertionError):
    """An invariant does not hold.

    Args:
        name: The name of the check.
        what: The finding, for people.
    """

    def __init__(self, name: str, what: str) -> None:
        super().__init__(name, what)
        self.name = name
        self.what = what

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


class Escaped(Exception):
    """Code in a simulation did something real.

    Args:
        who: "an activity", "a workflow" or "the story".
        what: What it did, as "opened a connection to api.bank.example:443".
        where: The line of the user's code, as "shop/bank.py:31"; empty if there is none.
        instead: The thing that a simulation lacks, and the remedy.
    """

    def __init__(self, who: str, what: str, where: str, instead: str) -> None:
        super().__init__(who, what, where, instead)
        self.who = who
        self.what = what
        self.where = where
        self.instead = instead

    def __str__(self) -> str:
        return f"{self.who} {self.what}{f' ({self.where})' if self.where else ''}. {self.instead}"


class SimulationMisuse(Exception):
    """A simulation cannot fulfil a request; the message says what to do instead."""

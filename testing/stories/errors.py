"""The errors of a simulation, by who can mend it.

SimulationFailed     a world broke something: the app, or the story, is to be mended
InvariantFailed      what `world.always`, `world.finally_` or the engine's own rules say does not hold
Escaped              code asked the machine for what a world does not have
SimulationMisuse     the simulation was asked for what it cannot do
"""


class SimulationFailed(AssertionError):
    """A world in which something is broken, told as a story."""


class InvariantFailed(AssertionError):
    """An invariant does not hold.

    Args:
        name: Of what must hold.
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
    """A simulation cannot do what it was asked for; the message says what to do instead."""

"""The stopwatch of a simulated machine, by which slices of turns and activities end.

The rule: it never runs backwards, and runs ahead only where its choices say so.

    slice.ends   at a look more time has passed than a slice takes
"""

from ..choices import Choices
from ..loop import SimLoop

# More than a slice takes. A step takes no time while it runs, so that without this no slice would ever end.
SLICE_S, SLICE_RATES = 0.01, (0.02, 0.2)


class SimStopwatch:
    """Returns the loop's time, or somewhat more."""

    def __init__(self, loop: SimLoop, choices: Choices) -> None:
        self._loop = loop
        self._choices = choices
        self._ahead_s = 0.0

    def __call__(self) -> float:
        if self._choices.noise("slice.ends", rates=SLICE_RATES):
            self._ahead_s += SLICE_S
        return self._loop.time() + self._ahead_s

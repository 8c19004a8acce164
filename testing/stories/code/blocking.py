"""Code that blocks: a thread of a world gives the baton back, and the event loop of a host stands still for so long.

The rule: virtual time passes, and no other.
"""

from ...simulation.loop import HOST, SimLoop
from ...simulation.machines.threads import current


class HostKilled(BaseException):
    """The host of the code that runs was killed in the middle of a step of the event loop: it goes no further.

    Code that waits is never woken again. Code that blocks has to be left like this; what it does on the way out counts
    for nothing, because no further step of its host is taken.
    """


class Blocking:
    """Waits on behalf of code that blocks.

    Attributes:
        loop: Of the world that runs now.
    """

    def __init__(self) -> None:
        self.loop: SimLoop | None = None

    def wait(self, seconds: float) -> None:
        """Let so much virtual time pass for the code that calls, and for all that waits for it.

        Raises:
            HostKilled: The host of the code is dead.
        """
        if (thread := current()) is not None:
            thread.pause(max(0.0, seconds))
            return
        self._leave_if_dead()
        if self.loop is not None:
            self.loop.pass_time(max(0.0, seconds))

    def stop(self) -> None:
        """Let the code that calls go no further: its host was killed by its call."""
        if (thread := current()) is not None:
            thread.never()
        raise HostKilled

    def _leave_if_dead(self) -> None:
        if self.loop is not None and HOST.get() in self.loop.dead:
            raise HostKilled

"""Code that blocks: a thread of a world gives the baton back, and the event loop of a host stands still meanwhile.

The rule: virtual time passes, and no other.
"""

from ...simulation.loop import HOST, SimLoop
from ...simulation.machines.threads import current


class HostKilled(BaseException):
    """The host of the code that runs was killed in the middle of a step of the event loop: it goes no further.

    Code that waits is never resumed. Code that blocks has to be left like this; its last actions have no effect,
    because no further step of its host is taken.
    """


class Blocking:
    """Waits on behalf of code that blocks.

    Attributes:
        loop: The loop of the world that runs now.
    """

    def __init__(self) -> None:
        self.loop: SimLoop | None = None

    def wait(self, seconds: float) -> None:
        """Let `seconds` of virtual time pass for the calling code, and for all code that waits for it.

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
        """Stop the calling code, whose host was killed by its call."""
        if (thread := current()) is not None:
            thread.never()
        raise HostKilled

    def _leave_if_dead(self) -> None:
        if self.loop is not None and HOST.get() in self.loop.dead:
            raise HostKilled

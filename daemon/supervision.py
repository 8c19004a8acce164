"""What a host of several and its supervisor say to each other, and the pipe that carries it.

The one law: a pipe that has ended is a word too. A host whose pipe has ended has no supervisor.
"""

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import anyio

from ..actors.cluster.membership import Membership, name_of

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


class Ready(NamedTuple):
    """A host serves."""

    line: str  # says where; the same for all hosts, as they share their ports


class Failed(NamedTuple):
    """A host cannot start, and this is why."""

    why: str
    is_traceback: bool = False  # the app's own, from its import


class ShutdownAsked(NamedTuple):
    """A request has told a host that the daemon is to stop."""

    force: bool


class Stop(NamedTuple):
    """A host is to stop."""

    force: bool


FromHost: TypeAlias = Ready | Failed | ShutdownAsked


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What makes a process a host of a daemon rather than all of it."""

    membership: Membership
    pipe: "Connection[FromHost, Stop]"  # to the supervisor

    @property
    def name(self) -> str:
        return name_of(self.membership.index)

    def say(self, message: FromHost) -> None:
        """Tell the supervisor. Whether it is still there is found out by `hear`."""
        with contextlib.suppress(OSError):
            self.pipe.send(message)

    @property
    def orphaned(self) -> bool:
        """Whether the supervisor is no more."""
        try:
            while self.pipe.poll():
                self.pipe.recv()
        except (EOFError, OSError):
            return True
        return False

    async def hear(self) -> Stop | None:
        """Wait for a word of the supervisor's; None if there is none left to say one."""
        await anyio.wait_readable(self.pipe)
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

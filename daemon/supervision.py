"""The messages between a host of several and its supervisor, and the host's end of the pipe between them.

The rule: the end of the pipe is a message too. A host whose pipe has ended has no supervisor.
`daemon/hosts/member.py` and `daemon/stopping.py` are on this end, `daemon/hosts/processes.py` on the other.
"""

import contextlib
import select
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import anyio

from ..actors.cluster.membership import FixedMembership, name_of

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


class Ready(NamedTuple):
    """A host serves."""

    line: str  # the ready line; the same for all hosts, as they share their ports


class Failed(NamedTuple):
    """A host cannot start."""

    why: str
    is_traceback: bool = False  # of the app's own code, which raised while it was imported


class ShutdownAsked(NamedTuple):
    """A host was asked by a request to stop the whole daemon."""

    force: bool


class Stop(NamedTuple):
    """A host is to stop."""

    force: bool


class Beat(NamedTuple):
    """A host is alive. It says so once a second, in a thread of its own."""

    loop_age_s: float  # for how long its event loop has not answered


class Reload(NamedTuple):
    """A host is to read its tokens again."""


FromHost: TypeAlias = Ready | Failed | ShutdownAsked | Beat
ToHost: TypeAlias = Stop | Reload

# How long after the time at which a step of user code is interrupted its process is ended, if that did not help.
END_AFTER_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """The place of a process among the hosts of a daemon."""

    membership: FixedMembership
    pipe: "Connection[FromHost, ToHost]"  # to the supervisor
    # Whether it is started for the first time. Then no host of the daemon takes requests yet, and it answers probes
    # while it starts; later the others do, and it takes no connection from them before it is ready.
    first: bool = True
    # Messages are sent by two threads. It does not travel to the host's process, which makes its own.
    _sending: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[object, ...]:
        return partial(Member, membership=self.membership, pipe=self.pipe, first=self.first), ()

    @property
    def name(self) -> str:
        """The host's name in logs, such as `host-2`."""
        return name_of(self.membership.index)

    def say(self, message: FromHost) -> None:
        """Send a message to the supervisor. If it is gone the message is lost, and `hear` returns None."""
        with self._sending, contextlib.suppress(OSError):
            self.pipe.send(message)

    def beat(self, loop_age_s: float) -> None:
        """Say that this host is alive, unless the supervisor does not read: then the pipe fills up."""
        with contextlib.suppress(OSError, ValueError):
            _, writable, _ = select.select([], [self.pipe], [], 0)
            if writable:
                self.say(Beat(loop_age_s))

    @property
    def orphaned(self) -> bool:
        """Whether the supervisor has ended. Discards the messages that it has sent."""
        try:
            while self.pipe.poll():
                self.pipe.recv()
        except (EOFError, OSError):
            return True
        return False

    async def hear(self) -> ToHost | None:
        """Wait for the next message of the supervisor; None if the supervisor has ended."""
        await anyio.wait_readable(self.pipe)
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

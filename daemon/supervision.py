"""The messages between a host of several and its supervisor, and the host's end of the pipe between them.

The rule: a closed pipe is a message too. A host whose pipe is closed has no supervisor.
`daemon/hosts/member.py` and `daemon/stopping.py` use the host's end, and `daemon/hosts/processes.py` the supervisor's.
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
    """From a host: it serves."""

    line: str  # the ready line; the same for all hosts, because they share their ports


class Failed(NamedTuple):
    """From a host: it cannot start."""

    why: str
    is_traceback: bool = False  # the text is a traceback of the app's code, which raised during its import


class ShutdownAsked(NamedTuple):
    """From a host: a request has ordered the whole daemon to stop."""

    force: bool


class Stop(NamedTuple):
    """To a host: stop."""

    force: bool


class Beat(NamedTuple):
    """From a host: it is alive. A thread of the host sends it once a second."""

    loop_age_s: float  # for how long its event loop has not answered


class Reload(NamedTuple):
    """To a host: read the tokens again."""


FromHost: TypeAlias = Ready | Failed | ShutdownAsked | Beat
ToHost: TypeAlias = Stop | Reload


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """The place of a process among the hosts of a daemon."""

    membership: FixedMembership
    pipe: "Connection[FromHost, ToHost]"  # to the supervisor
    # Whether the host is started for the first time. No host of the daemon takes requests then, so it answers probes
    # during its start. At a restart the others answer, and it accepts no connection before it is ready.
    first: bool = True
    # Two threads send messages. The lock is not pickled: the host's process makes its own.
    _sending: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[object, ...]:
        return partial(Member, membership=self.membership, pipe=self.pipe, first=self.first), ()

    @property
    def name(self) -> str:
        """The host's name in logs, such as `host-2`."""
        return name_of(self.membership.index)

    def say(self, message: FromHost) -> None:
        """Send a message to the supervisor. If it has ended the message is lost, and `hear` returns None."""
        with self._sending, contextlib.suppress(OSError):
            self.pipe.send(message)

    def beat(self, loop_age_s: float) -> None:
        """Report that this host is alive, unless the supervisor does not read, because the pipe would fill up."""
        with contextlib.suppress(OSError, ValueError):
            _, writable, _ = select.select([], [self.pipe], [], 0)
            if writable:
                self.say(Beat(loop_age_s))

    @property
    def orphaned(self) -> bool:
        """Whether the supervisor has ended. Discards messages of the supervisor."""
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

"""A host of several: a process that is started by a supervisor, and heeds it in place of the signals.

The one law: a host outlives its supervisor by no more than an ordered stop.
What the two say to each other goes through a pipe, and its end is a word too.
"""

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import anyio

from ..actors.membership import Membership, name_of
from .config import Config

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


def main(config: Config, member: Member) -> None:
    """Be a host, from the first line of a process to its last."""
    leave_signals_to_the_supervisor()

    # The engine and the server, which the supervisor imports this module without.
    from ..actors.errors import PerdureError  # noqa: PLC0415
    from .loader import ImportFailed  # noqa: PLC0415
    from .logs import configure_logging  # noqa: PLC0415
    from .run import leave_threads_behind, serve_app  # noqa: PLC0415

    configure_logging(config.log_level, config.log_format, host=member.name)
    with contextlib.redirect_stdout(sys.stderr):
        try:
            serve_app(config, lambda line: member.say(Ready(line)), member)
        except ImportFailed as error:
            member.say(Failed(str(error), is_traceback=True))
            sys.exit(1)
        except PerdureError as error:
            member.say(Failed(str(error)))
            sys.exit(1)
    if member.orphaned:
        shutil.rmtree(member.membership.directory, ignore_errors=True)
    leave_threads_behind()


STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def leave_signals_to_the_supervisor() -> None:
    """Be deaf to what a terminal or a service manager sends to all processes of a daemon at once.

    The supervisor gets it too, and tells the hosts to stop in order.
    """
    os.setsid()  # of which the supervisor can kill all that there is
    for number in STOP_SIGNALS:
        # Not SIG_IGN, which the processes that activities start would inherit.
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Start a host in here: signals reach it once it has left them to the supervisor, and this process afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

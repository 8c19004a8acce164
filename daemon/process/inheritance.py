"""Closes the daemon's files and sockets in processes that an app forks.

The rule: a forked child shares nothing with the daemon: not the ports (the next daemon could not take them), not the
connections (clients would not see them close), not the store's files, and no signals. Programs that are started with
`subprocess` inherit no descriptors anyway, because all of these are close-on-exec.

`daemon/daemon.py` enters the context for as long as the daemon runs.
"""

import contextlib
import os
import signal
import socket
import stat
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from .early_signals import STOP_SIGNALS
from .hangup import is_ours

DESCRIPTORS = ("/proc/self/fd", "/dev/fd")  # folders that list the open files of a process


class Inheritance:
    """Closes the daemon's files and sockets in each forked child.

    A context manager. Python cannot remove the hook for forks; after the end the hook does nothing.

    Args:
        ports: The numbers of the daemon's ports.
        data: The path of the store, with which the paths of all its files begin.
        folder: The folder of the hosts' sockets, if there are several hosts.
    """

    def __init__(self, ports: Iterable[int], data: str, folder: str | None = None) -> None:
        self._ports = frozenset(ports)
        self._files = os.path.realpath(data)
        self._folder = folder
        self._open = False

    def __enter__(self) -> Self:
        self._open = True
        os.register_at_fork(after_in_child=self.renounce)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open = False

    def renounce(self) -> None:
        """Close the daemon's descriptors in this process, and restore the default handling of signals."""
        if not self._open:
            return
        # The child shares the loop's descriptor for signals with the daemon, which would receive the child's signals.
        with contextlib.suppress(ValueError):
            signal.set_wakeup_fd(-1)
            for number in (*STOP_SIGNALS, *((signal.SIGHUP,) if is_ours() else ())):
                signal.signal(number, signal.SIG_DFL)
        for descriptor in open_descriptors():
            if self.is_ours(descriptor):
                with contextlib.suppress(OSError):
                    os.close(descriptor)

    def is_ours(self, descriptor: int) -> bool:
        """Return whether a descriptor is a port, a connection, or a file of the store."""
        try:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISSOCK(mode):
                return self._is_our_socket(descriptor)
            return stat.S_ISREG(mode) and path_of(descriptor).startswith(self._files)
        except OSError:
            return False

    def _is_our_socket(self, descriptor: int) -> bool:
        # A second object for the same descriptor, which must not close the descriptor.
        looked_at = socket.socket(fileno=descriptor)
        try:
            name = looked_at.getsockname()
        finally:
            looked_at.detach()
        if isinstance(name, tuple):
            return name[1] in self._ports
        return self._folder is not None and isinstance(name, str) and name.startswith(self._folder)


def open_descriptors() -> Iterator[int]:
    """Yield the descriptors of this process."""
    for folder in DESCRIPTORS:
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        yield from (int(name) for name in names if name.isdigit())
        return


def path_of(descriptor: int) -> str:
    """Return the path of an open file; an empty text if the system does not tell it."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""

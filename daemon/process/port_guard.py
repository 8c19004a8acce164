"""Watches the sockets on which the daemon listens, while code of the app runs.

The rule: a daemon that cannot be reached does not run on. Code that closes descriptors of others (`os.closerange`)
closes the ports, and no part of the process would notice. The process then ends at once, not in order, so that the
instances whose code ran are suspect (`actors/hosting/quarantine.py`). `daemon/daemon.py` starts the guard.
"""

import logging
import os
import socket
import stat
from collections.abc import Callable, Collection

import anyio

from .inheritance import open_descriptors
from .standard_error import write_out_log

logger = logging.getLogger(__name__)

LOOK_S = 0.5


async def guard_ports(
    ports: Collection[int], *, stopping: Callable[[], bool], end: Callable[[int], object], interval_s: float = LOOK_S
) -> None:
    """Watch the sockets that listen now until the daemon stops, and end the process if one of them is closed.

    Args:
        ports: The ports of the daemon, on which both servers listen already.
        stopping: Whether the daemon itself closes its ports.
        end: Ends the process at once, with an exit code.
        interval_s: The time between two checks, in seconds.
    """
    listening = listening_at(ports)
    while not stopping():
        await anyio.sleep(interval_s)
        for descriptor, (inode, port) in listening.items():
            if inode_of(descriptor) != inode and not stopping():
                logger.critical(
                    "code of the app has closed the socket of port %d, descriptor %d: this process ends now",
                    port,
                    descriptor,
                )
                write_out_log()
                end(1)
                return


def listening_at(ports: Collection[int]) -> dict[int, tuple[int, int]]:
    """Return the inode and the port of each socket of this process that listens on one of the ports, by descriptor."""
    found: dict[int, tuple[int, int]] = {}
    for descriptor in list(open_descriptors()):
        inode = inode_of(descriptor)
        if inode is not None and (port := _port_of(descriptor)) in ports:
            found[descriptor] = (inode, port)
    return found


def inode_of(descriptor: int) -> int | None:
    """Return the inode of a socket; None if the descriptor is not a socket."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_ino if stat.S_ISSOCK(status.st_mode) else None


def _port_of(descriptor: int) -> int:
    """Return the port on which a socket listens; 0 if it does not listen."""
    try:
        looked_at = socket.socket(fileno=descriptor)
    except OSError:
        return 0
    # A second object for the same descriptor, which must not close the descriptor.
    try:
        name = looked_at.getsockname()
        listens = looked_at.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        return int(name[1]) if listens and isinstance(name, tuple) else 0
    except OSError:
        return 0
    finally:
        looked_at.detach()

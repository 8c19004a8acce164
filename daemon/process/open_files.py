"""The limits of connections on each port, so that the process can always open files.

The rule: the store, the app's activities and the pipes to other processes never lack a descriptor because of clients.
`daemon/daemon.py` gives each port its limit.
"""

import os
import resource
import socket
import stat
from dataclasses import dataclass
from urllib.parse import unquote

import anyio

from ...journal.journal import Journal
from ...journal.vocabulary import CONNECTIONS_FULL
from .inheritance import open_descriptors

# Descriptors kept for the store, the app and the processes of activities, besides an eighth of the limit.
RESERVE = 64
RESERVE_PART = 8
RESERVE_MAX = 4096
PER_PROCESS = 4  # connections among the processes of a daemon, for each process

SHARE_MIN = 8
HTTP_MAX = 20_000
GRPC_MAX = 10_000

WATCH_S = 5.0  # how often the connections of gRPC are counted


@dataclass(frozen=True, slots=True)
class Shares:
    """The highest number of connections of each port in one process."""

    http: int
    grpc: int


def shares_of(limit: int, processes: int = 1) -> Shares:
    """Divide the files that a process may open among its ports.

    Args:
        limit: The number of files that the process may open.
        processes: The number of processes of the daemon.
    """
    reserve = min(RESERVE + limit // RESERVE_PART, RESERVE_MAX) + PER_PROCESS * (processes - 1)
    left = limit - reserve
    return Shares(
        http=max(SHARE_MIN, min(HTTP_MAX, left * 2 // 3)),
        grpc=max(SHARE_MIN, min(GRPC_MAX, left // 3)),
    )


def open_files_max() -> int:
    """Return the number of files that this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 2**20


def connections_on(port: int) -> int:
    """Return how many connections to a port this process has; 0 if the system does not tell it."""
    return sum(1 for descriptor in open_descriptors() if _is_connection(descriptor, port))


def _is_connection(descriptor: int, port: int) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        looked_at = socket.socket(fileno=descriptor)
    except OSError:
        return False
    try:
        name = looked_at.getsockname()
        listens = looked_at.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        return isinstance(name, tuple) and name[1] == port and not listens
    except OSError:
        return False
    finally:
        looked_at.detach()  # the object must not close the descriptor


def cut_off(port: int, client: str) -> bool:
    """Close a connection of the gRPC library, which has no method for it: the library sees a closed connection.

    Args:
        port: The port of this process.
        client: The library's name of the client: "ipv4:127.0.0.1:50123", "ipv6:%5B::1%5D:50123".

    Returns:
        Whether there was such a connection.
    """
    host, _, number = unquote(client).partition(":")[2].rpartition(":")
    wanted = (host.strip("[]").removeprefix("::ffff:"), number)
    for descriptor in open_descriptors():
        if not _is_connection(descriptor, port):
            continue
        looked_at = socket.socket(fileno=descriptor)
        try:
            name = looked_at.getpeername()
            if (str(name[0]).removeprefix("::ffff:"), str(name[1])) == wanted:
                looked_at.shutdown(socket.SHUT_RDWR)
                return True
        except OSError:
            continue  # the descriptor was closed meanwhile
        finally:
            looked_at.detach()
    return False


async def watch_connections(port: int, most: int, *, interval_s: float = WATCH_S) -> None:
    """Log when a port has its highest number of connections, because gRPC's library closes new ones without a word.

    The connections are not counted while the process has fewer open files than that number.
    """
    journal = Journal(__name__)
    while True:
        await anyio.sleep(interval_s)
        if sum(1 for _ in open_descriptors()) > most and connections_on(port) >= most:
            then = "new ones are closed. Raise the limit (ulimit -n, or LimitNOFILE of a service) for more"
            journal.write(CONNECTIONS_FULL, port="gRPC", many=most, limit="connections_max", maximum=most, then=then)
        journal.flush()

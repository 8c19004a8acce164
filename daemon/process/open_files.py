"""How many connections each port may have, so that there are always files left to open.

The rule: the store, the app's activities and the pipes to other processes never lack a descriptor because of clients.
`daemon/daemon.py` gives each port its share.
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

# Kept for the store, the app and the processes of activities: so many, and an eighth of the limit.
RESERVE = 64
RESERVE_PART = 8
RESERVE_MAX = 4096
PER_PROCESS = 4  # connections among the processes of a daemon, for each of them

SHARE_MIN = 8
HTTP_MAX = 20_000
GRPC_MAX = 10_000

WATCH_S = 5.0  # how often the connections of gRPC are looked at


@dataclass(frozen=True, slots=True)
class Shares:
    """The most connections of each port, in one process."""

    http: int
    grpc: int


def shares_of(limit: int, processes: int = 1) -> Shares:
    """Divide the files that a process may open.

    Args:
        limit: How many it may open.
        processes: How many processes the daemon has.
    """
    reserve = min(RESERVE + limit // RESERVE_PART, RESERVE_MAX) + PER_PROCESS * (processes - 1)
    left = limit - reserve
    return Shares(
        http=max(SHARE_MIN, min(HTTP_MAX, left * 2 // 3)),
        grpc=max(SHARE_MIN, min(GRPC_MAX, left // 3)),
    )


def open_files_max() -> int:
    """How many files this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 2**20


def connections_on(port: int) -> int:
    """How many connections to a port this process has, where the system tells; else 0."""
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
        looked_at.detach()  # it is not ours to close


def cut_off(port: int, client: str) -> bool:
    """End a connection of gRPC's, whose library has no way to do so: it sees that the other end has gone.

    Args:
        port: The port of this process.
        client: As the library names it: "ipv4:127.0.0.1:50123", "ipv6:%5B::1%5D:50123".

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
            continue  # it has gone by itself
        finally:
            looked_at.detach()
    return False


async def watch_connections(port: int, most: int, *, interval_s: float = WATCH_S) -> None:
    """Say so when a port has its highest number of connections; gRPC's library closes new ones in silence.

    Counting is left out as long as the process has fewer open files than that.
    """
    journal = Journal(__name__)
    while True:
        await anyio.sleep(interval_s)
        if sum(1 for _ in open_descriptors()) > most and connections_on(port) >= most:
            then = "new ones are closed. Raise the limit (ulimit -n, or LimitNOFILE of a service) for more"
            journal.write(CONNECTIONS_FULL, port="gRPC", many=most, limit="connections_max", maximum=most, then=then)
        journal.flush()

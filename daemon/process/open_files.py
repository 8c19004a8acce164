"""How many connections each port may have, so that there are always files left to open.

The rule: the store, the app's activities and the pipes to other processes never lack a descriptor because of clients.
`daemon/daemon.py` gives each port its share.
"""

import resource
from dataclasses import dataclass

# Kept for the store, the app and the processes of activities: so many, and an eighth of the limit.
RESERVE = 64
RESERVE_PART = 8
RESERVE_MAX = 4096
PER_PROCESS = 4  # connections among the processes of a daemon, for each of them

SHARE_MIN = 8
HTTP_MAX = 20_000
GRPC_MAX = 10_000


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

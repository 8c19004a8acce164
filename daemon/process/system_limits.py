"""The limits that the system puts on a process, where a daemon cannot begin below them.

The rule: a limit that is too low is told before anything is begun, with its size and the way to raise it. Met later it
looks like a store, a port or a library that does not work, and gRPC's library ends the process.

`daemon/serve.py` asks before the engine is imported, and `daemon/daemon.py` while the daemon begins.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

from ...actors.errors import PerdureError

FILES_MIN = 64  # a daemon alone opens some 30 before its first connection
# Its libraries and stacks of threads take 0.65 GiB, of which most is never used. More activities need more.
ADDRESSES_MIN = 768 * 2**20
NO_THREAD = "can't start new thread"  # CPython's words


def require_room() -> None:
    """Look that the process may have as much as a daemon needs.

    Raises:
        PerdureError: It may not; the message says how that is changed.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _is_below(files, FILES_MIN):
        raise PerdureError(
            f"this process may open {files} files, and a daemon needs {FILES_MIN}, and one more for each connection. "
            "Raise the limit: ulimit -n 1024, or LimitNOFILE of a service."
        )
    addresses, _ = resource.getrlimit(resource.RLIMIT_AS)
    if _is_below(addresses, ADDRESSES_MIN):
        raise PerdureError(
            f"this process may have {addresses // 2**20} MiB of addresses, and a daemon needs {ADDRESSES_MIN // 2**20} "
            "MiB, of which it uses the smaller part. Raise the limit (ulimit -v, or LimitAS of a service), and bound "
            "the memory itself (MemoryMax of a service)."
        )


def _is_below(limit: int, least: int) -> bool:
    return limit != resource.RLIM_INFINITY and limit < least


@contextmanager
def threads_needed() -> Iterator[None]:
    """Tell in a sentence that the system gives the block no more threads.

    Raises:
        PerdureError: It gives none.
    """
    try:
        yield
    except RuntimeError as error:
        if str(error) != NO_THREAD:
            raise
        raise PerdureError(
            "the system gives this process no more threads. Raise the limit that is too low: processes of the user "
            "(ulimit -u), of the service or the container (TasksMax, pids.max), or addresses (ulimit -v)."
        ) from error

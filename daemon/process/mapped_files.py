"""Restores the length of a mapped file that was cut short, so that the process does not end.

The rule: the kernel sends SIGBUS to code that accesses a part of a mapping without a file behind it, during that
access. If the file has its length again when the handler returns, the access is repeated and succeeds. Only files whose
content may be wrong are repaired in this way: the flight record. SQLite's index of a -wal is not, because a transaction
that has begun would read zeros as an index. The index is checked before each transaction (`Hold` in
`actors/store/sqlite/identity.py`), and if it is cut short during a transaction the process ends.

Python runs its handlers after the current instruction, which here never ends, so this handler is a C function that
calls Python. That is safe here: the signal interrupts an access to memory, and no function of the C library that holds
a lock. `daemon/daemon.py` uses it.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

ENDED = (
    b"Error: a file that this process has mapped into memory was cut short while it was being read or written (a -shm "
    b"beside the store, or a library). The process ends. Nothing that was acknowledged is lost: start it again.\n"
)


@contextmanager
def mending(mend: Callable[[], bool]) -> Iterator[None]:
    """Call a function when code accesses a mapping without a file behind it. Only on Linux; elsewhere do nothing.

    Args:
        mend: Restores the length of a file, and returns whether a file had lost it. It may be called within any access
            to a mapping, and in any thread.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    set_handler: Any = ctypes.pythonapi.PyOS_setsig
    set_handler.argtypes, set_handler.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    before: int | None = None

    def called(_number: int) -> None:
        mended = False
        with suppress(Exception):  # a full disk: the access fails
            mended = mend()
        if not mended:
            with suppress(OSError):
                os.write(2, ENDED)
            set_handler(signal.SIGBUS, before)  # the access sends SIGBUS again, now to the former handler

    try:
        handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(called)
    except (MemoryError, OSError):  # the system forbids processes to make code
        yield
        return
    before = set_handler(signal.SIGBUS, ctypes.cast(handler, ctypes.c_void_p))
    try:
        yield
    finally:
        set_handler(signal.SIGBUS, before)

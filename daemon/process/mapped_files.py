"""A mapped file that is cut short under the process: given its length back, instead of ending the process.

The rule: code that accesses a part of a mapping that has no file behind it is sent SIGBUS, in the midst of that access;
if the file has its length again when the handler returns, the access is repeated and nothing has happened. Only files
whose content is not needed to be right are mended so: the flight record. SQLite's index of a -wal is not, because a
transaction that has begun would read zeros as an index; it is looked at before each (`Hold` in
`actors/store/sqlite/identity.py`), and one that is cut short in the midst of a transaction ends the process.

A handler of Python's would run too late, behind an instruction that never ends, so this one is C's and calls Python.
That is safe where it happens: in an access to memory, and in no function of the C library's that has a lock.
`daemon/daemon.py` uses it.
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
    """Call a function when a mapping has no file behind it. On systems other than Linux it does nothing.

    Args:
        mend: Gives a file its length back, and says whether one had lost it. It may be called within any access to a
            mapping, and by any thread.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    set_handler: Any = ctypes.pythonapi.PyOS_setsig
    set_handler.argtypes, set_handler.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    before: int | None = None

    def called(_number: int) -> None:
        mended = False
        with suppress(Exception):  # a full disk: the access cannot be made
            mended = mend()
        if not mended:
            with suppress(OSError):
                os.write(2, ENDED)
            set_handler(signal.SIGBUS, before)  # and comes again

    try:
        handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(called)
    except (MemoryError, OSError):  # a system that lets no process make code
        yield
        return
    before = set_handler(signal.SIGBUS, ctypes.cast(handler, ctypes.c_void_p))
    try:
        yield
    finally:
        set_handler(signal.SIGBUS, before)

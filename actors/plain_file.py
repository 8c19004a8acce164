"""A file by a name that a user gave, or that any program may have made: read up to a limit, or refused in a sentence.

The rule: nothing is waited for and nothing is read without a bound, for anything at the name: a folder, a pipe that
nobody writes to, a device without an end. An error says what stands there.

All layers that read such files use `read_plain`; where another library opens a file itself, `misfit` comes before.
"""

import math
import os
import select
import stat
import time
from collections.abc import Mapping

from .errors import PerdureError

CHUNK_BYTES = 1024 * 1024

# Kinds of files that a name may lead to and that are no regular file.
KINDS: Mapping[int, str] = {
    stat.S_IFDIR: "it is a folder.",
    stat.S_IFIFO: "it is a pipe.",
    stat.S_IFSOCK: "it is a socket.",
    stat.S_IFCHR: "it is a device.",
    stat.S_IFBLK: "it is a device.",
}


class FileUnfit(PerdureError):
    """A file cannot be used; `why` is a sentence about it, which begins with "it"."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


def kind_of(path: str, *, follow: bool = True) -> str | None:
    """Say what stands at a name that is no regular file; None: a regular file, or nothing that can be looked at.

    Args:
        follow: Whether a symbolic link is as good as what it leads to.
    """
    try:
        mode = os.stat(path, follow_symlinks=follow).st_mode
    except (OSError, ValueError):
        return None
    return None if stat.S_ISREG(mode) else KINDS.get(stat.S_IFMT(mode), "it is a symbolic link.")


def misfit(path: str) -> str | None:
    """Say why there is no regular file at a name that can be read; None: there is."""
    try:
        os.stat(path)
    except (OSError, ValueError) as error:
        return _unreadable(error)
    if (kind := kind_of(path)) is not None:
        return kind
    return None if os.access(path, os.R_OK) else "it cannot be read: Permission denied."


def read_plain(path: str | os.PathLike[str], *, bytes_max: int, pipe_s: float = 0.0) -> bytes:
    """Read a file whole.

    Args:
        bytes_max: A larger file is refused.
        pipe_s: How long a pipe with a writer may take, as of `<(command)` in a shell.

    Raises:
        FileUnfit: It cannot be read, or has more bytes, or is a pipe through which its content does not come.
    """
    path = os.fspath(path)
    # Without O_NONBLOCK the system waits for a writer of a pipe.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError) as error:
        raise FileUnfit(path, _unreadable(error)) from None
    try:
        found = os.fstat(descriptor)
        too_large = stat.S_ISREG(found.st_mode) and found.st_size > bytes_max
        content = b"" if too_large else _read(descriptor, bytes_max, time.monotonic() + pipe_s)
    except (OSError, TimeoutError) as error:
        raise FileUnfit(path, _unreadable(error)) from None
    finally:
        os.close(descriptor)
    if too_large or len(content) > bytes_max:
        raise FileUnfit(path, f"it has more than {bytes_max} bytes.")
    if stat.S_ISFIFO(found.st_mode) and not content:
        raise FileUnfit(path, "it is a pipe, and nobody writes to it.")
    return content


def _read(descriptor: int, bytes_max: int, until_s: float) -> bytes:
    """Read up to one byte more than there may be."""
    content = bytearray()
    while len(content) <= bytes_max:
        try:
            piece = os.read(descriptor, min(CHUNK_BYTES, bytes_max + 1 - len(content)))
        except BlockingIOError:
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not select.select([descriptor], [], [], None if math.isinf(left_s) else left_s)[0]:
                raise TimeoutError("nothing comes out of it") from None
            continue
        if not piece:
            break
        content += piece
    return bytes(content)


def _unreadable(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"it cannot be read: {said}."

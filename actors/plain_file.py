"""Reading a file whose path comes from a user, or that any program may have made: up to a limit, or with an error.

The rule: no wait and no read is without a bound, for any kind of file at the path: a folder, a pipe without a writer, a
device without an end. An error names the kind of file.

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

# Kinds of files that are not regular files.
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
    """The kind of the file at a path; None: a regular file, or no file that can be looked at.

    Args:
        follow: Whether a symbolic link counts as the file that it leads to.
    """
    try:
        mode = os.stat(path, follow_symlinks=follow).st_mode
    except (OSError, ValueError):
        return None
    return None if stat.S_ISREG(mode) else KINDS.get(stat.S_IFMT(mode), "it is a symbolic link.")


def misfit(path: str) -> str | None:
    """Say why a path is not a readable regular file; None: it is one."""
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
        FileUnfit: It cannot be read, or has more bytes, or is a pipe without a writer or content.
    """
    path = os.fspath(path)
    # Without O_NONBLOCK the system waits until a pipe has a writer.
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
        raise FileUnfit(path, "it is a pipe without a writer.")
    return content


def _read(descriptor: int, bytes_max: int, until_s: float) -> bytes:
    """Read at most `bytes_max` + 1 bytes."""
    content = bytearray()
    while len(content) <= bytes_max:
        try:
            piece = os.read(descriptor, min(CHUNK_BYTES, bytes_max + 1 - len(content)))
        except BlockingIOError:
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not select.select([descriptor], [], [], None if math.isinf(left_s) else left_s)[0]:
                raise TimeoutError("no data comes out of it") from None
            continue
        if not piece:
            break
        content += piece
    return bytes(content)


def _unreadable(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"it cannot be read: {said}."

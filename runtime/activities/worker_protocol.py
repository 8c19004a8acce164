"""The messages between the daemon and a worker process.

The rule: a message is data, never code: a length and msgpack, not pickle. It goes
through a pair of pipes that are no standard streams of the worker's, so that
nothing that user code prints is taken for a message.

`runtime/activities/worker_process.py` is the worker, and
`runtime/activities/process_pool.py` the daemon's end.
"""

import struct
from typing import Any

import msgpack

# Ends the line that other code may have printed before the worker took its standard output away.
READY = b"\x00perdure worker ready\x00"

LENGTH = struct.Struct(">Q")  # before each message

# The first field of each message of a worker.
DONE = 0  # result, failure, whether the mark of the end stands in the output
LOGGED = 1  # the fields of a log record


def packed(message: tuple[Any, ...]) -> bytes:
    """A message as bytes, behind its length."""
    # Python's text may hold lone surrogates, and must come out as it went in.
    data: bytes = msgpack.packb(message, unicode_errors="surrogatepass")
    return LENGTH.pack(len(data)) + data


def unpacked(data: bytes) -> Any:
    """Read a message without its length."""
    return msgpack.unpackb(data, unicode_errors="surrogatepass")

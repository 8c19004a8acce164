"""Where an actor lives: its address, and the shard that address falls into.

The one law here: the shard of an id never changes, on any machine, in any
release, because stores are laid out by it.
"""

from typing import NamedTuple
from zlib import crc32


class Address(NamedTuple):
    """The name of an actor, in memory or not: what it is, and which one.

    A named tuple because it is the key of every table on the hot path, and
    tuples hash in C.
    """

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


def shard_of(actor_id: str, shards: int) -> int:
    """Say which of `shards` shards holds every actor with this id.

    Only the id counts, so that actors of different types that belong together
    (a workflow and what serves it) share a host. CRC-32 is stable across
    machines and releases, which `hash()` is not, and spreads ids well enough
    for a few hundred shards.
    """
    assert shards > 0, shards
    return crc32(actor_id.encode()) % shards

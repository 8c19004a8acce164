"""The address of an actor, and the shard to which the address belongs.

The rule: the shard of an id never changes, on any machine, in any release,
because the layout of a store depends on it.

The part of a type behind "@" is the *ring* of its actors: the shards of one app. The types of a store's first app have
no such part (docs/design/several-apps.md).

All of `actors/` and `runtime/` name actors by addresses; `actors/cluster/placement.py` resolves them.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple
from zlib import crc32


class Address(NamedTuple):
    """The name of an actor, in memory or not: its type, and its id within the type.

    A named tuple because it is the key of every table on the hot path, and
    tuples hash in C.
    """

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


# Makes the address of (type, id). Each step of a workflow needs two addresses. A call of the class would run a function
# written in Python first, which takes two thirds of the time.
address_of: Callable[[tuple[str, str]], Address] = partial(tuple.__new__, Address)


AT = "@"  # precedes the ring in a type; part of the rows on disk
FIRST_RING = ""


def type_in(kind: str, ring: str) -> str:
    """The type of the actors of a kind in a ring."""
    return f"{kind}{AT}{ring}" if ring else kind


def ring_of(actor_type: str) -> str:
    """The ring of the actors of a type."""
    return actor_type.partition(AT)[2]


def shard_of(actor_id: str, shards: int) -> int:
    """Say which of `shards` shards holds every actor with this id.

    Only the id counts, so that actors of different types with one id (a workflow
    and the actors that serve it) share a host. CRC-32 is stable across
    machines and releases, which `hash()` is not, and spreads ids well enough
    for a few hundred shards.
    """
    assert shards > 0, shards
    return crc32(actor_id.encode()) % shards

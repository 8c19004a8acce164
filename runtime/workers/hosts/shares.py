"""Shares: how much of a stream each host may use, and which streams a host uses at all.

The rule: the shares of all hosts in a stream are together no more than its window, as long as the window has a place
for each. So no worker is sent more than it keeps.

The module is pure. `runtime/workers/hosts/gate.py` divides its streams, and `entries.py` chooses among the streams of
others.
"""

from collections.abc import Collection
from hashlib import blake2b

from ..stream import StreamRoom

# With more streams than MANY at other hosts, a host uses the NEAREST of them and its own: a thousand streams at each of
# fifty hosts would be as many objects in each host.
MANY, NEAREST = 256, 64


def shares(whole: StreamRoom, hosts: int) -> tuple[StreamRoom, StreamRoom]:
    """Divide the room of a stream among the hosts of a daemon.

    Args:
        hosts: How many there are, with the one at which the stream is.

    Returns:
        The share of that host, and that of each other host. Neither is zero.
    """
    activities, turns = _share(whole.activities, hosts), _share(whole.turns, hosts)
    own = StreamRoom(max(1, whole.activities - activities * (hosts - 1)), max(1, whole.turns - turns * (hosts - 1)))
    return own, StreamRoom(activities, turns)


def _share(window: int, hosts: int) -> int:
    return max(1, window // hosts)


def nearest(me: str, streams: Collection[str]) -> Collection[str]:
    """The streams of other hosts that a host uses, by their ids: all of them, or some that others use less.

    Each host chooses by itself, and hosts that come or go change little of it (rendezvous hashing).
    """
    if len(streams) <= MANY:
        return streams
    return sorted(streams, key=lambda stream: (blake2b(f"{me}/{stream}".encode(), digest_size=8).digest(), stream))[
        :NEAREST
    ]

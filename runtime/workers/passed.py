"""Items of other hosts that wait to go to a worker of this one.

The rule: they go in their order, in turn with the items of this host. Beyond BYTES_MAX the hosts that pass them on
wait: they get their answer when there is room, and send nothing before that.

Each stream (`runtime/workers/stream.py`) has one; `runtime/workers/hosts/gate.py` fills it.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence

import anyio

from .items import PassedItem

BYTES_MAX = 4 * 1024 * 1024  # beside one delivery of each other host
# A worker that takes nothing is given up after some seconds; the other host waits for its answer not much longer.
WAIT_MAX_S = 2.0


class PassedItems:
    """The items of other hosts for one worker.

    Args:
        wake: Called when there are more.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._items: deque[tuple[str, PassedItem]] = deque()  # each with the name of its host
        self._bytes = 0
        self._received: dict[str, tuple[str, int]] = {}  # by host: the lease, and the number of its last delivery
        self._live: dict[str, str] = {}  # by host: the lease under which its present process has delivered
        self._room = anyio.Event()
        self.host = ""  # the host of the item that was taken last
        self.lease = ""  # the lease under which that host delivered it
        self.due = True  # the last item was one of this host

    def __len__(self) -> int:
        return len(self._items)

    def receive(self, host: str, lease: str, number: int, items: Sequence[PassedItem]) -> None:
        """Take a delivery of another host; a repeated delivery is taken once.

        Args:
            lease: Names the host's entry of this stream; another lease starts the numbers anew.
            number: Of the delivery, ascending.
        """
        self._live[host] = lease
        known, last = self._received.get(host, ("", 0))
        if known == lease and number <= last:
            return
        if known != lease:
            self.forget(host)  # the items of an entry that it has given up: other workers have those jobs now
        self._received[host] = lease, number
        self._items.extend((host, item) for item in items)
        self._bytes += sum(len(item.data) for item in items)
        self._wake()

    def take(self) -> PassedItem | None:
        """The next item; None if there is none, or if the next item is one of this host."""
        if not self._items or not self.due:
            self.due = True
            return None
        self.due = False
        self.host, item = self._items.popleft()
        self.lease, _ = self._received.get(self.host, ("", 0))
        self._count_out(len(item.data))
        return item

    def cut(self, host: str) -> None:
        """Note that the connection to a host is lost: after the next connection its process may be another one."""
        self._live.pop(host, None)

    def is_live(self, host: str, lease: str) -> bool:
        """Whether the present process of a host has delivered under a lease."""
        return bool(lease) and self._live.get(host) == lease

    def keep(self, hosts: Collection[str]) -> None:
        """Forget the items of all hosts but these: the others have left, and other hosts dispatch the jobs again."""
        for host in [host for host in self._received if host not in hosts]:
            self.forget(host)

    def forget(self, host: str) -> None:
        """Forget the items of a host that has given them to others."""
        gone = sum(len(item.data) for owner, item in self._items if owner == host)
        self._items = deque(each for each in self._items if each[0] != host)
        self._received.pop(host, None)
        self._count_out(gone)

    async def wait_for_room(self) -> None:
        """Wait until there is room for more items, but not for long."""
        with anyio.move_on_after(WAIT_MAX_S):
            while self._bytes > BYTES_MAX:
                await self._room.wait()

    def _count_out(self, size: int) -> None:
        full = self._bytes > BYTES_MAX
        self._bytes -= size
        if full and self._bytes <= BYTES_MAX:
            self._room.set()
            self._room = anyio.Event()

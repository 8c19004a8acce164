"""Watching an actor: the watcher wakes at each commit that changes its record.

The rule: nothing is queued; a watch has the newest record only.

The host fills watches (`actors/hosting/release.py`); `runtime/operations/facade.py` waits on them.
"""

from ..address import Address
from .signal import Signal


class Watch:
    """The newest state of one actor, for one watcher."""

    __slots__ = ("_changed", "deleted", "lost", "record")

    def __init__(self) -> None:
        self._changed = Signal()
        self.record: bytes | None = None  # as last committed since the watch began; None: unchanged
        self.deleted = False
        self.lost = False  # whether a commit may have been missed: inspect again

    def committed(self, record: bytes | None, *, deleted: bool) -> None:
        """Take over the changes of a commit, and wake the watcher.

        Args:
            record: The new record; None if the commit left it as it was.
            deleted: The commit deleted the actor.
        """
        self.deleted = deleted
        if record is not None:
            self.record = record
        self._changed.set()

    def wake(self) -> None:
        """Wake the watcher without a change: the host is stopping."""
        self._changed.set()

    def lose(self) -> None:
        """Wake the watcher: commits may have been missed, because a connection was lost."""
        self.lost = True
        self._changed.set()

    async def changed(self) -> None:
        """Wait until a change was committed, or the watcher was woken for another reason."""
        await self._changed.wait()


class Watches(dict[Address, list[Watch]]):
    """The watches of a host's actors, by address. An address without a watch has no list."""

    def add(self, address: Address, watch: Watch) -> None:
        """Add a watch of an actor."""
        self.setdefault(address, []).append(watch)

    def remove(self, address: Address, watch: Watch) -> None:
        """Remove a watch that was added before."""
        watches = self[address]
        watches.remove(watch)
        if not watches:
            del self[address]

    def wake(self) -> None:
        """Wake all watchers without a change: the host is stopping."""
        for watches in self.values():
            for watch in watches:
                watch.wake()

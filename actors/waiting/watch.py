"""Watching an actor: being told of each commit that changes its record."""

from .signal import Signal


class Watch:
    """What one watcher knows of one actor. Nothing is queued: only the newest counts."""

    __slots__ = ("_changed", "deleted", "lost", "record")

    def __init__(self) -> None:
        self._changed = Signal()
        self.record: bytes | None = None  # as last committed since the watch began; None: unchanged
        self.deleted = False
        self.lost = False  # a commit may have been missed: inspect again

    def note(self, record: bytes | None, *, deleted: bool) -> None:
        self.deleted = deleted
        if record is not None:
            self.record = record
        self._changed.set()

    def wake(self) -> None:
        """Wake the watcher without news: the host is stopping."""
        self._changed.set()

    def lose(self) -> None:
        """Wake the watcher because nobody knows what it missed."""
        self.lost = True
        self._changed.set()

    async def changed(self) -> None:
        await self._changed.wait()

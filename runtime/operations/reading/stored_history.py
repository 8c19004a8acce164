"""Stored instances: record and history as last committed, read without activating anything.

The rule: a long history is unpacked in pieces, and the event loop goes on between them.

Everything in `runtime/operations/reading/` that needs more of an instance than lists have reads it here.
"""

from collections.abc import Sequence
from typing import NamedTuple

import anyio.lowlevel

from ....actors.hosting.host import Host
from ....actors.instruments import Stopwatch
from ....actors.store.contract import Stored
from ...directory import AppAddresses
from ...history.record import InstanceRecord, unpack_record
from ...history.row import Row, unpack_row
from .open_entries import OpenEntries, Walk


class StoredInstance(NamedTuple):
    """An instance as the store has it."""

    stored: Stored
    record: InstanceRecord


class Survey(NamedTuple):
    """A whole history in brief."""

    entries: OpenEntries
    first: Row | None  # None: the history is empty
    last: Row | None


class Pieces:
    """Cuts long work into pieces, none of which takes much longer than SLICE_S."""

    SLICE_S = 0.005

    def __init__(self, stopwatch: Stopwatch) -> None:
        self._stopwatch = stopwatch
        self._ends_s = stopwatch() + self.SLICE_S

    async def cut(self) -> None:
        """Let other tasks run, if this piece has taken long enough."""
        if self._stopwatch() > self._ends_s:
            await anyio.lowlevel.checkpoint()
            self._ends_s = self._stopwatch() + self.SLICE_S


async def read_stored(host: Host, own: AppAddresses, instance_id: str) -> StoredInstance | None:
    """Read an instance; None if there is none.

    Raises:
        StoreDamaged, CorruptHistory: It cannot be read.
        StoreError, HostUnreachable, HostLost, HostSilent: The store or the host that has it did not answer.
    """
    stored = await host.read(own.instance(instance_id))
    return StoredInstance(stored, unpack_record(stored.record)) if stored is not None else None


async def survey(entries: Sequence[bytes], stopwatch: Stopwatch) -> Survey:
    """Go through a history, without keeping it.

    Args:
        entries: Its rows, packed.
        stopwatch: Times the pieces.

    Raises:
        CorruptHistory: This release cannot read one.
    """
    walk, pieces = Walk(), Pieces(stopwatch)
    first: Row | None = None
    row: Row | None = None
    for entry in entries:
        row = unpack_row(entry)
        first = first or row
        walk.add(row)
        await pieces.cut()
    return Survey(walk.found, first, row)

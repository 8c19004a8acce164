"""Stored histories: the record and the rows of an instance as last committed, read without activating it.

The rule: a long history is unpacked in pieces, and the event loop goes on between them.

Everything in `runtime/operations/reading/` that needs rows reads them here.
"""

from collections.abc import Sequence
from time import perf_counter
from typing import NamedTuple

import anyio.lowlevel

from ....actors.hosting.host import Host
from ....actors.store.contract import Stored
from ....actors.store.listing import Listed, ListFilter, Order
from ...history.record import InstanceRecord, unpack_record
from ...history.row import Row, unpack_row
from ...instance.message import WORKFLOW, workflow_address

SLICE_S = 0.005  # rows are unpacked for no longer than this before others have their turn


class StoredHistory(NamedTuple):
    """An instance as the store has it."""

    stored: Stored
    record: InstanceRecord
    rows: Sequence[Row]  # of its current generation, oldest first


async def read_history(host: Host, instance_id: str) -> StoredHistory | None:
    """Read an instance; None if there is none.

    Raises:
        StoreDamaged, CorruptHistory: It cannot be read.
        StoreError, HostUnreachable, HostLost, HostSilent: The store or its host did not answer.
    """
    stored = await host.read(workflow_address(instance_id))
    if stored is None:
        return None
    record = unpack_record(stored.record)
    return StoredHistory(stored, record, await unpacked(stored.entries))


async def listed(host: Host, instance_id: str) -> Listed | None:
    """Find an instance as lists have it; None if there is none."""
    page = await host.lists.list(WORKFLOW, ListFilter(id_prefix=instance_id), order=Order.ID, cursor=None, limit=1)
    return next((found for found in page.listed if found.id == instance_id), None)


async def unpacked(entries: Sequence[bytes]) -> list[Row]:
    """Unpack rows.

    Raises:
        CorruptHistory: This release cannot read one.
    """
    rows: list[Row] = []
    ends_s = perf_counter() + SLICE_S
    for entry in entries:
        rows.append(unpack_row(entry))
        if perf_counter() > ends_s:
            await anyio.lowlevel.checkpoint()
            ends_s = perf_counter() + SLICE_S
    return rows

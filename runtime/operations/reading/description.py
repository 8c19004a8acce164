"""Descriptions: all that a person needs to know of one instance, to see why it does not go on.

The rule: a description is read from what is committed and from what the hosts have under way. It runs no code, and an
instance that cannot be read has one too.

The management API and the listing use it (`runtime/operations/reading/listing.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from ....actors.hosting.host import Host
from ....actors.store.errors import StoreDamaged
from ....actors.store.listing import Facets, ListFilter
from ...authoring.limits import bytes_of
from ...history.event import Event, ExecutionCompleted, ExecutionStarted, StallReason, failure_in
from ...history.facets import facets_of
from ...history.failure import FailureDetails
from ...history.record import InstanceRecord, unpack_record
from ...history.row import CorruptHistory, Row
from ...history.status import Status
from ...instance.message import WORKFLOW, workflow_address
from .item import InstanceItem, item_of
from .open_entries import OpenEntries, open_entries
from .stored_history import StoredHistory, listed, read_history
from .under_way import WorkLocator
from .waiting import Waiting, WaitKind, waiting_for

STALL_KINDS = {number: name for name, number in vars(StallReason).items() if name.isupper()}
SET_ASIDE = "SET_ASIDE"
UNREADABLE = "UNREADABLE"


class Stall(NamedTuple):
    """Why an instance does not go on."""

    kind: str  # the name of a StallReason, SET_ASIDE, or UNREADABLE
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """An instance as a person looks at it. Times are Unix time in microseconds."""

    item: InstanceItem
    execution_id: str  # of the current generation
    first_execution_id: str  # of the first: it tells one holder of the id from the next
    input_bytes: int  # as UTF-8; 0 for none
    output_bytes: int
    turns: int  # of the current generation
    events: int
    bytes: int  # of its history in the store
    failure: FailureDetails | None  # of one that has FAILED
    stall: Stall | None
    waiting_for: Sequence[Waiting]  # empty for one that has ended
    children: Mapping[str, int]  # how many it has, by their status


class Descriptions:
    """Describes instances.

    Args:
        work: Finds what is under way.
        app_id: Of the app that is here.
    """

    def __init__(self, host: Host, work: WorkLocator, *, app_id: str) -> None:
        self._host = host
        self._work = work
        self._app_id = app_id

    async def describe(self, instance_id: str) -> Description | None:
        """Describe an instance as last committed; None if there is none.

        Raises:
            StoreError, HostUnreachable, HostLost, HostSilent: The store or the instance's host did not answer.
        """
        try:
            history = await read_history(self._host, instance_id)
        except StoreDamaged as error:
            return await self._unreadable(instance_id, error.stall)
        except CorruptHistory as error:
            return await self._unreadable(instance_id, str(error))
        if history is None:
            return None
        entries = open_entries(history.rows)
        waiting = await self._waiting_for(instance_id, history, entries)
        facets = await self._facets(instance_id, history)
        children = await self.children(instance_id) if history.record.has_children else {}
        return self._described(instance_id, history, entries, facets, waiting, children)

    async def waiting_for(self, instance_id: str) -> Sequence[Waiting]:
        """Say what an instance waits for; nothing for one that does not exist, has ended or cannot be read."""
        try:
            history = await read_history(self._host, instance_id)
        except (StoreDamaged, CorruptHistory):
            return ()
        if history is None:
            return ()
        return await self._waiting_for(instance_id, history, open_entries(history.rows))

    async def children(self, instance_id: str) -> dict[str, int]:
        """Count the children of an instance by their status, those of earlier generations too."""
        counted = await self._host.lists.count(WORKFLOW, ListFilter(parent=instance_id), by=("status",))
        return {str(group.values[0]): group.total for group in counted.groups}

    async def _facets(self, instance_id: str, history: StoredHistory) -> Facets:
        """The facets of an instance as lists have them; made of its newest row, if it has changed meanwhile."""
        record, rows = history.record, history.rows
        found = await listed(self._host, instance_id)
        if found is not None and found.record == history.stored.record:
            return found.facets
        return facets_of(record, rows[-1].at_us if rows else record.created_us)

    async def _waiting_for(self, instance_id: str, history: StoredHistory, entries: OpenEntries) -> list[Waiting]:
        record = history.record
        if record.status.terminal:
            return []
        under_way = await self._work.find(instance_id, record.execution_id, tuple(entries.tasks))
        return waiting_for(record, entries, under_way)

    def _described(
        self,
        instance_id: str,
        history: StoredHistory,
        entries: OpenEntries,
        facets: Facets,
        waiting: Sequence[Waiting],
        children: Mapping[str, int],
    ) -> Description:
        record, rows = history.record, history.rows
        started = next((event for event in _events(rows[:1]) if isinstance(event, ExecutionStarted)), None)
        ends = rows[-1:] if record.status.terminal else ()
        completed = next((event for event in _events(ends) if isinstance(event, ExecutionCompleted)), None)
        return Description(
            item=item_of(instance_id, record, facets, app_id=self._app_id),
            execution_id=record.execution_id,
            first_execution_id=record.run_id,
            input_bytes=_bytes(started.input if started is not None else None),
            output_bytes=_bytes(completed.result if completed is not None else None),
            turns=entries.turns,
            events=entries.events,
            bytes=sum(map(len, history.stored.entries)),
            failure=failure_in(completed) if completed is not None else None,
            stall=_stall(record, entries),
            waiting_for=waiting,
            children=children,
        )

    async def _unreadable(self, instance_id: str, reason: str) -> Description:
        """Describe an instance that cannot be read, with what can be read of its record."""
        record, changed_us = InstanceRecord(Status.STALLED, "", "", 0), 0
        with suppress(StoreDamaged, CorruptHistory):
            inspection = await self._host.inspect(workflow_address(instance_id))
            if inspection is not None and inspection.record:
                record, changed_us = unpack_record(inspection.record), inspection.updated_us
        if not record.status.terminal:
            record = record._replace(status=Status.STALLED)
        waiting = Waiting(WaitKind.CODE, record.name or None, changed_us)
        return Description(
            item=item_of(instance_id, record, facets_of(record, changed_us), app_id=self._app_id),
            execution_id=record.execution_id,
            first_execution_id=record.run_id,
            input_bytes=0,
            output_bytes=0,
            turns=0,
            events=0,
            bytes=0,
            failure=None,
            stall=Stall(UNREADABLE, reason),
            waiting_for=() if record.status.terminal else (waiting,),
            children={},
        )


def _stall(record: InstanceRecord, entries: OpenEntries) -> Stall | None:
    if record.set_aside is not None:
        return Stall(SET_ASIDE, record.set_aside.reason)
    if record.status is not Status.STALLED:
        return None
    return Stall(STALL_KINDS.get(entries.stall_reason, str(entries.stall_reason)), record.stall or "")


def _events(rows: Sequence[Row]) -> Iterator[Event]:
    for row in rows:
        yield from row.turn or ()
        yield from row.held


def _bytes(payload: str | None) -> int:
    return bytes_of(payload) if payload is not None else 0

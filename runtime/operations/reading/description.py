"""Descriptions: all that a person needs to know of one instance, to see why it does not go on.

The rule: a description is read from committed rows and from the work that the hosts have under way. It runs no code,
and an instance that cannot be read has one too.

The management API and the listing use it (`runtime/operations/reading/listing.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from ....actors.hosting.host import Host
from ....actors.store.errors import StoreDamaged
from ....actors.store.listing import Facets, ListFilter
from ...authoring.limits import bytes_of
from ...directory import AppAddresses
from ...history.event import Event, ExecutionCompleted, ExecutionStarted, StallReason, failure_in
from ...history.facets import facets_of, parent_facet
from ...history.failure import FailureDetails
from ...history.record import InstanceRecord, unpack_record
from ...history.row import CorruptHistory, Row
from ...history.status import Status
from .item import InstanceItem, item_of
from .open_entries import OpenEntries
from .stored_history import StoredInstance, read_stored, survey
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
    """The facts of an instance for a person. Times are Unix time in microseconds."""

    item: InstanceItem
    execution_id: str  # of the current generation
    first_execution_id: str  # of the first generation: it distinguishes one holder of the id from the next
    input_bytes: int  # as UTF-8; 0 for none
    output_bytes: int
    turns: int  # of the current generation
    events: int
    bytes: int  # of its history in the store
    failure: FailureDetails | None  # of one that has FAILED
    stall: Stall | None
    waiting_for: Sequence[Waiting]  # empty for one that has ended
    children: Mapping[str, int]  # how many it has, by their status


class Outline(NamedTuple):
    """An instance as a list has it, and its run."""

    item: InstanceItem
    run_id: str  # the execution id of its first generation


class Descriptions:
    """Describes instances.

    Args:
        work: Finds the work under way.
        own: The addresses of their app.
    """

    def __init__(self, host: Host, work: WorkLocator, own: AppAddresses) -> None:
        self._host = host
        self._work = work
        self._own = own

    async def describe(self, instance_id: str) -> Description | None:
        """Describe an instance as last committed; None if there is none.

        Raises:
            StoreError, HostUnreachable, HostLost, HostSilent: The store or the instance's host did not answer.
        """
        try:
            found = await read_stored(self._host, self._own, instance_id)
            if found is None:
                return None
            surveyed = await survey(found.stored.entries, self._host.instruments.stopwatch)
        except StoreDamaged as error:
            return await self._unreadable(instance_id, error.stall)
        except CorruptHistory as error:
            return await self._unreadable(instance_id, str(error))
        record = found.record
        entries, first, last = surveyed
        started = next((event for event in _events(first) if isinstance(event, ExecutionStarted)), None)
        end = last if record.status.terminal else None
        completed = next((event for event in _events(end) if isinstance(event, ExecutionCompleted)), None)
        return Description(
            item=item_of(instance_id, record, _facets(found, last), app_id=self._own.app_id),
            execution_id=record.execution_id,
            first_execution_id=record.run_id,
            input_bytes=_bytes(started.input if started is not None else None),
            output_bytes=_bytes(completed.result if completed is not None else None),
            turns=entries.turns,
            events=entries.events,
            bytes=sum(map(len, found.stored.entries)),
            failure=failure_in(completed) if completed is not None else None,
            stall=_stall(record, entries),
            waiting_for=await self._waiting_for(instance_id, record, entries),
            children=await self.children(instance_id) if record.has_children else {},
        )

    async def outline(self, instance_id: str) -> Outline | None:
        """Return the item of an instance as last committed, without its history; None if there is none.

        Raises:
            StoreError, HostUnreachable, HostLost, HostSilent: The store or the instance's host did not answer.
        """
        try:
            inspection = await self._host.inspect(self._own.instance(instance_id))
            if inspection is None:
                return None
            if inspection.stalled is None:
                record = unpack_record(inspection.record)
                facets = inspection.facets or facets_of(record, inspection.updated_us or record.created_us)
                return Outline(item_of(instance_id, record, facets, app_id=self._own.app_id), record.run_id)
        except (StoreDamaged, CorruptHistory):
            pass  # the description has the readable parts
        found = await self.describe(instance_id)
        return Outline(found.item, found.first_execution_id) if found is not None else None

    async def waiting_for(self, instance_id: str) -> Sequence[Waiting]:
        """The waits of an instance; empty if it does not exist, has ended or cannot be read."""
        with suppress(StoreDamaged, CorruptHistory):
            found = await read_stored(self._host, self._own, instance_id)
            if found is not None and not found.record.status.terminal:
                surveyed = await survey(found.stored.entries, self._host.instruments.stopwatch)
                return await self._waiting_for(instance_id, found.record, surveyed.entries)
        return ()

    async def has_open_activity(self, instance_id: str) -> bool:
        """Whether an activity of an instance has no answer; True for one that cannot be read, which does not go on."""
        try:
            found = await read_stored(self._host, self._own, instance_id)
            if found is None or found.record.status.terminal:
                return False
            return bool((await survey(found.stored.entries, self._host.instruments.stopwatch)).entries.tasks)
        except (StoreDamaged, CorruptHistory):
            return True

    async def children(self, instance_id: str) -> dict[str, int]:
        """Count the children of an instance by their status, in all apps, those of earlier generations too."""
        found: dict[str, int] = {}
        for childs in self._own.all():
            wanted = ListFilter(parent=parent_facet(instance_id, self._own.app_id if childs is not self._own else None))
            counted = await self._host.lists.count(childs.workflow, wanted, by=("status",))
            for group in counted.groups:
                found[str(group.values[0])] = found.get(str(group.values[0]), 0) + group.total
        return found

    async def _waiting_for(self, instance_id: str, record: InstanceRecord, entries: OpenEntries) -> list[Waiting]:
        if record.status.terminal:
            return []
        under_way = await self._work.find(instance_id, record.execution_id, tuple(entries.tasks))
        return waiting_for(record, entries, under_way)

    async def _unreadable(self, instance_id: str, reason: str) -> Description:
        """Describe an instance that cannot be read, with the readable parts of its record."""
        record, changed_us, facets = InstanceRecord(Status.STALLED, "", "", 0), 0, None
        with suppress(StoreDamaged, CorruptHistory):
            inspection = await self._host.inspect(self._own.instance(instance_id))
            if inspection is not None and inspection.record:
                changed_us, facets = inspection.updated_us, inspection.facets
                record = unpack_record(inspection.record)
        # As at Dapr's doors, it is stalled, with any earlier status.
        facets = replace(facets or facets_of(record, changed_us), status=Status.STALLED.name, ended_us=None)
        return Description(
            item=item_of(instance_id, record, facets, app_id=self._own.app_id),
            execution_id=record.execution_id,
            first_execution_id=record.run_id,
            input_bytes=0,
            output_bytes=0,
            turns=0,
            events=0,
            bytes=0,
            failure=None,
            stall=Stall(UNREADABLE, reason),
            waiting_for=(Waiting(WaitKind.CODE, facets.name or None, facets.updated_us),),
            children={},
        )


def _stall(record: InstanceRecord, entries: OpenEntries) -> Stall | None:
    if record.set_aside is not None:
        return Stall(SET_ASIDE, record.set_aside.reason)
    if record.status is not Status.STALLED:
        return None
    return Stall(STALL_KINDS.get(entries.stall_reason, str(entries.stall_reason)), record.stall or "")


def _facets(found: StoredInstance, last: Row | None) -> Facets:
    """The facets of an instance; made of its newest row while the store does not know them yet."""
    record = found.record
    return found.stored.facets or facets_of(record, last.at_us if last is not None else record.created_us)


def _events(row: Row | None) -> Iterator[Event]:
    if row is not None:
        yield from row.turn or ()
        yield from row.held


def _bytes(payload: str | None) -> int:
    return bytes_of(payload) if payload is not None else 0

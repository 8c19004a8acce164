"""The record of an instance: the small row that is written when its status changes.

The rule: it holds no payloads, but for events that are on their way to other
instances. The input stands in the first row of the history and the result in the
last, so neither is written twice.

Workflow actors write it; the facade, the walk of families and callers that wait
read it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgpack

from ...actors.store.contract import Inspection
from .event import (
    DetachedCreated,
    EventSent,
    ExecutionCompleted,
    ExecutionStarted,
    Parent,
    failure_in,
    pack_event,
    unpack_event,
)
from .instance_state import InstanceState
from .row import CorruptHistory, Row, unpack_row
from .status import STATUS_OF, Status

FORMAT = 1


class AsideMark(NamedTuple):
    """The mark of an instance that is set aside: none of its work begins until it is released."""

    was: int  # the Status before
    reason: str
    until_restart: bool = False  # a Recover message removes it


class InstanceRecord(NamedTuple):
    """The facts of an instance that are stored beside its history. Fields are added at the end only."""

    status: Status
    name: str  # the workflow's
    execution_id: str
    created_us: int  # Unix time, microseconds
    custom_status: str | None = None
    parent: Parent | None = None
    stall: str | None = None  # why it is STALLED
    has_children: bool = False
    generation: int = 0  # how often it has continued as new
    remote: bool = False  # its code is with a remote worker
    version: str | None = None  # of its code, as the worker named it
    # Unix time, microseconds: its first turn, if that is not the first row of the history
    started_us: int | None = None
    # Events for other instances, and starts of detached ones, that are not known to have arrived: the key, and then
    # the EventSent or DetachedCreated as it is packed.
    outbox: tuple[tuple[Any, ...], ...] = ()
    received: bytes = b""  # the keys of events that other instances sent to earlier generations; EVENT_KEY_BYTES each
    set_aside: AsideMark | None = None
    # Kept over continue-as-new. None: this is the first generation, and `created_us` and `execution_id` are the first.
    first_us: int | None = None  # Unix time, microseconds
    first_execution_id: str | None = None
    root: str | None = None  # the id of the first of its ancestors; None: that is its parent, or it has none
    tags: tuple[tuple[str, str], ...] = ()  # by key, each key once
    parent_app: str | None = None  # the id of the parent's app; None: its own

    @property
    def began_us(self) -> int:
        """When its first generation was started; Unix time, microseconds. Earlier releases kept only the last start."""
        return self.created_us if self.first_us is None else self.first_us

    @property
    def run_id(self) -> str:
        """The execution id of its first generation, which distinguishes one holder of the id from the next."""
        return self.first_execution_id or self.execution_id

    @property
    def root_id(self) -> str | None:
        """The id of the first of its ancestors; None without one. From earlier releases, a grandchild has its
        parent's."""
        return self.root or (self.parent.instance_id if self.parent is not None else None)

    def pack(self, packer: msgpack.Packer | None = None) -> bytes:
        """The form in which it reaches the disk.

        Args:
            packer: Used again by a caller that packs many records, because a new one makes a buffer first.
        """
        # Fields that few instances have are left out of all other records: earlier releases can read these, and they
        # are short.
        count = COMMON_FIELDS if self[COMMON_FIELDS:] == ABSENT else self._last()
        packed: bytes = (packer or msgpack.Packer()).pack((FORMAT, *self[:count]))
        return packed

    def _last(self) -> int:
        """The number of fields up to the last one that is not absent."""
        count = len(self)
        while self[count - 1] == ABSENT[count - 1 - COMMON_FIELDS]:
            count -= 1
        return count


COMMON_FIELDS = 11
ABSENT = tuple(InstanceRecord._field_defaults[name] for name in InstanceRecord._fields[COMMON_FIELDS:])
NEEDED_FIELDS = 6  # every release has written these
KNOWN_FIELDS = 1 + len(InstanceRecord._fields)  # with the format in front; a later release may write more


def unpack_record(packed: bytes) -> InstanceRecord:
    """Read a record.

    Raises:
        CorruptHistory: This release cannot read it.
    """
    try:
        fields = msgpack.unpackb(packed, use_list=False)
        if fields[0] != FORMAT:
            raise CorruptHistory(f"a record has format {fields[0]}; this release reads format {FORMAT}")
        if len(fields) <= NEEDED_FIELDS:
            raise ValueError(f"{len(fields)} fields")
        record = InstanceRecord(STATUS_OF[fields[1]], *fields[2:KNOWN_FIELDS])
        if record.parent is not None:
            record = record._replace(parent=Parent(*record.parent))
        return record if record.set_aside is None else record._replace(set_aside=AsideMark(*record.set_aside))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise CorruptHistory(f"a record of {len(packed)} bytes cannot be read: {error!r}") from error


ARRAY_16 = 0xDC  # MessagePack: an array of 16 elements or more begins with it and two bytes


def status_in(packed: bytes) -> Status:
    """Read the status of a record that was just written. That takes a fifth of the time of the whole record.

    Raises:
        CorruptHistory: This release cannot read it.
    """
    try:
        begin = 3 if packed[0] == ARRAY_16 else 1
        if packed[begin] == FORMAT:
            return STATUS_OF[packed[begin + 1]]
    except (IndexError, KeyError):
        pass  # reading the whole record finds the error
    return unpack_record(packed).status


EVENT_KEY_BYTES = 16


def pack_outbox(outbox: Mapping[bytes, EventSent | DetachedCreated]) -> tuple[tuple[Any, ...], ...]:
    """The form in which a record holds events and starts that are on their way."""
    return tuple((key, *pack_event(event)) for key, event in outbox.items())


def unpack_outbox(packed: Iterable[tuple[Any, ...]]) -> dict[bytes, EventSent | DetachedCreated]:
    """Read the events and starts that are on their way, each with its key, oldest first.

    Raises:
        CorruptHistory: This release cannot read them.
    """
    try:
        return {key: unpack_event(event) for key, *event in packed}  # type: ignore[misc]  # nothing else is packed
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise CorruptHistory(f"the outbox of a record cannot be read: {error!r}") from error


def state_of(instance_id: str, inspection: Inspection, record: InstanceRecord | None = None) -> InstanceState:
    """Describe an instance from its record and the ends of its history.

    Args:
        instance_id: The instance.
        inspection: Its record and the first and last rows of its history, packed.
        record: The record of the inspection, if it has been unpacked already.
    """
    if inspection.stalled is not None:
        return _unreadable(instance_id, inspection, inspection.stalled)
    if record is None:
        record = unpack_record(inspection.record)
    first = unpack_row(inspection.first) if inspection.first is not None else None
    started = _started(first)
    completed = _completed(inspection) if record.status.terminal else None
    return InstanceState(
        instance_id=instance_id,
        execution_id=record.execution_id,
        name=record.name,
        status=record.status,
        created_us=record.created_us,
        updated_us=inspection.updated_us,
        input=started.input if started is not None else None,
        output=completed.result if completed is not None else None,
        custom_status=record.custom_status,
        failure=failure_in(completed) if completed is not None else None,
        stall=record.stall if not record.status.terminal else None,  # a stall ends with the instance
        parent_id=record.parent.instance_id if record.parent is not None else None,
        parent_app=record.parent_app,
        version=record.version,
        started_us=first.at_us if first is not None and first.turn is not None else record.started_us,
        set_aside=record.set_aside is not None,
    )


def _unreadable(instance_id: str, inspection: Inspection, reason: str) -> InstanceState:
    """Describe an instance that cannot be loaded, with the readable parts of its record."""
    try:
        record = unpack_record(inspection.record)
    except CorruptHistory:
        record = InstanceRecord(Status.STALLED, "", "", 0)
    return InstanceState(
        instance_id=instance_id,
        execution_id=record.execution_id,
        name=record.name,
        status=Status.STALLED,
        created_us=record.created_us,
        updated_us=inspection.updated_us,
        input=None,
        output=None,
        custom_status=record.custom_status,
        failure=None,
        stall=reason,
        parent_id=record.parent.instance_id if record.parent is not None else None,
        parent_app=record.parent_app,
        version=record.version,
    )


def _started(row: Row | None) -> ExecutionStarted | None:
    if row is None:
        return None
    events = [*(row.turn or ()), *row.held]
    return next((event for event in events if isinstance(event, ExecutionStarted)), None)


def _completed(inspection: Inspection) -> ExecutionCompleted | None:
    if inspection.last is None:
        return None
    row = unpack_row(inspection.last)
    return next((event for event in row.turn or () if isinstance(event, ExecutionCompleted)), None)

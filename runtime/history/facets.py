"""Facets of instances: the side that lists and counts see.

The rule: they change with the status, the custom status and the generation, and not with each turn. They follow from
the record and the time of the change.

Workflow actors give them with the turns that change them (`runtime/instance/sheet.py`); a store that was written by an
earlier release requests them once (`runtime/instance/actor.py`).
"""

from ...actors.store.contract import Inspection
from ...actors.store.listing import Facets
from .record import InstanceRecord, unpack_record
from .row import CorruptHistory
from .status import SET_ASIDE, Status

OF_APP = "\x1f"  # ids that a caller gives hardly ever have it; reaches the disk


# By the number of a status: tables cost no call, and each instance comes through here twice.
_WORDS = tuple(status.name for status in Status)
_ENDED = tuple(status.terminal for status in Status)
assert tuple(Status) == tuple(range(len(Status)))


def status_word(record: InstanceRecord) -> str:
    """The status as lists show it: the name of the Status, or SET_ASIDE for one that has not ended and is set aside."""
    status = record.status
    return _WORDS[status] if record.set_aside is None or _ENDED[status] else SET_ASIDE


def facets_of(record: InstanceRecord, changed_us: int) -> Facets:
    """Make the facets of an instance.

    Args:
        changed_us: When its status, custom status or generation has changed last; Unix time, microseconds.
    """
    status = record.status
    return Facets(
        record.name,
        _WORDS[status] if record.set_aside is None or _ENDED[status] else SET_ASIDE,
        record.created_us if record.first_us is None else record.first_us,
        changed_us,
        changed_us if _ENDED[status] else None,
        None if record.parent is None else parent_facet(record.parent.instance_id, record.parent_app),
        record.tags,
    )


def parent_facet(instance_id: str, app_id: str | None) -> str:
    """The key by which lists find the children of an instance: its id, and the app's id behind it for another app."""
    return instance_id if app_id is None else f"{instance_id}{OF_APP}{app_id}"


def changed_facets(before: InstanceRecord | None, after: InstanceRecord, now_us: int) -> Facets | None:
    """Make the facets of an instance whose record has changed.

    Args:
        before: The record before; None: there was no instance.
        now_us: Unix time, microseconds.

    Returns:
        None if lists do not show the change: the status, the custom status, the generation and the holder of the id
        are the same.
    """
    if (
        before is not None
        and before.execution_id == after.execution_id
        and before.custom_status == after.custom_status
        and before.status is after.status
        and (before.set_aside is after.set_aside or _ENDED[after.status])
    ):
        return None
    return facets_of(after, now_us)


def stored_facets(stored: Inspection) -> Facets | None:
    """Make the facets of an instance that an earlier release wrote. Its newest row has the time of its last change.

    Returns:
        None for an instance whose record cannot be read: lists leave it out.
    """
    try:
        record = unpack_record(stored.record)
    except CorruptHistory:
        return None
    return facets_of(record, stored.updated_us or record.created_us)

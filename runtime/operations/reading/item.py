"""Items: an instance as lists show it.

The rule: an item holds no payload. It has the beginning of the custom status.

`runtime/operations/reading/listing.py` and `runtime/operations/reading/description.py` make them.
"""

from dataclasses import dataclass

from ....actors.store.listing import Facets
from ...history.record import InstanceRecord

CUSTOM_STATUS_CHARS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceItem:
    """An instance in a list. Times are Unix time in microseconds."""

    id: str
    name: str  # the workflow's
    status: str  # the name of a Status, or SET_ASIDE
    custom_status: str | None  # its first characters
    created_us: int  # its first start, kept over continue-as-new
    updated_us: int  # the last change of status, custom status or generation
    ended_us: int | None  # None: it has not ended
    parent: str | None  # ids
    root: str | None  # the first of its ancestors; None: it has none
    generation: int  # how often it has continued as new
    tags: tuple[tuple[str, str], ...]  # by key
    app_id: str
    parent_app_id: str | None = None  # None: the parent is of the same app, or there is none


def item_of(instance_id: str, record: InstanceRecord, facets: Facets, *, app_id: str) -> InstanceItem:
    """Make the item of an instance."""
    return InstanceItem(
        id=instance_id,
        name=facets.name,
        status=facets.status,
        custom_status=record.custom_status[:CUSTOM_STATUS_CHARS] if record.custom_status is not None else None,
        created_us=facets.created_us,
        updated_us=facets.updated_us,
        ended_us=facets.ended_us,
        parent=record.parent.instance_id if record.parent is not None else facets.parent,
        root=record.root_id,
        generation=record.generation,
        tags=facets.tags,
        app_id=app_id,
        parent_app_id=record.parent_app if record.parent is not None else None,
    )

"""A bulk operation on disk: an action on all instances that a filter fits, and its progress.

The rule: the position in the list of instances and the counts are one record, written together, so that an
operation goes on behind the last instance that it is known to have handled.

`actor.py` writes it, `runner.py` follows it.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import msgpack

from ....actors.store.listing import Facets, ListFilter
from ...history.attribution import By
from ...history.row import CorruptHistory

FORMAT = 1


class BulkAction(StrEnum):
    """The actions that can be done to all instances of a filter. The words reach the disk and must not change."""

    SUSPEND = "suspend"
    RESUME = "resume"
    TERMINATE = "terminate"
    PURGE = "purge"
    RERUN = "rerun"


class OperationState(StrEnum):
    """The states of an operation. The words reach the disk and must not change."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


class Selection(NamedTuple):
    """The instances that an operation is for."""

    filter: ListFilter
    moment_us: int  # only instances that were created before it; Unix time, microseconds
    stuck_for_us: int | None = None


class ActionOptions(NamedTuple):
    """How an action is done to each instance."""

    recurse: bool | None = None  # None: as the action does by default
    force: bool = False


class OperationProgress(NamedTuple):
    """How far an operation has come."""

    cursor: str | None = None  # of the list of instances; None: at its beginning
    done: int = 0
    failed: int = 0
    # Instances that did not fit the filter any more, or were already in the state that the action leads to.
    skipped: int = 0
    steps: int = 0  # that have been counted

    def plus(self, step: "OperationProgress") -> "OperationProgress":
        """Add the counts of the next step, and take its position."""
        return OperationProgress(
            step.cursor,
            self.done + step.done,
            self.failed + step.failed,
            self.skipped + step.skipped,
            self.steps + 1,
        )


class ItemError(NamedTuple):
    """An instance to which the action could not be done."""

    id: str
    message: str


class BulkOperation(NamedTuple):
    """An operation, without the errors of single instances. Fields are added at the end only."""

    action: BulkAction
    selection: Selection
    options: ActionOptions
    by: By
    rate: float  # instances a second at most
    matches: int  # when it began
    more: bool  # there were more than were counted
    created_us: int  # Unix time, microseconds
    updated_us: int
    state: OperationState = OperationState.RUNNING
    progress: OperationProgress = OperationProgress()
    ended_us: int | None = None

    def facets(self) -> Facets:
        """The facets that lists have of it."""
        return Facets(self.action.value, self.state.value, self.created_us, self.updated_us, self.ended_us)

    def pack(self) -> bytes:
        """The form in which it reaches the disk."""
        action, selection, *rest = self
        packed: bytes = msgpack.packb((FORMAT, action, pack_selection(selection), *rest))
        return packed


def unpack_operation(packed: bytes) -> BulkOperation:
    """Read an operation.

    Raises:
        CorruptHistory: This release cannot read it.
    """
    try:
        found, *fields = msgpack.unpackb(packed, use_list=False)
        if found != FORMAT:
            raise CorruptHistory(f"an operation has format {found}; this release reads format {FORMAT}")
        raw = dict(zip(BulkOperation._fields, fields, strict=False))
        readers: Mapping[str, Callable[[Any], Any]] = {
            "action": BulkAction,
            "selection": unpack_selection,
            "options": lambda values: ActionOptions(*values),
            "by": lambda values: By(*values),
            "state": OperationState,
            "progress": lambda values: OperationProgress(*values),
        }
        return BulkOperation(**{name: readers.get(name, _as_it_is)(value) for name, value in raw.items()})
    except (ValueError, TypeError) as error:
        raise CorruptHistory(f"an operation of {len(packed)} bytes cannot be read: {error!r}") from error


def _as_it_is(value: Any) -> Any:
    return value


# The conditions of a filter by name, each as msgpack has it. Empty ones are left out.
_SETS = ("statuses", "not_statuses", "names", "not_names")
_VALUES = (
    "id_prefix",
    "parent",
    "root",
    "created_from_us",
    "created_to_us",
    "updated_from_us",
    "updated_to_us",
    "in_flight_since_us",
)


def pack_selection(selection: Selection) -> tuple[object, ...]:
    """The form in which the instances of an operation reach the disk and a plan."""
    wanted, usual = selection.filter, ListFilter()
    conditions: dict[str, object] = {
        name: sorted(getattr(wanted, name)) for name in _SETS if getattr(wanted, name) != getattr(usual, name)
    }
    conditions |= {name: getattr(wanted, name) for name in _VALUES if getattr(wanted, name) != getattr(usual, name)}
    if wanted.tags:
        conditions["tags"] = dict(sorted(wanted.tags.items()))
    return (conditions, selection.moment_us, selection.stuck_for_us)


def unpack_selection(packed: Any) -> Selection:
    """Read what `pack_selection` wrote.

    Raises:
        ValueError, TypeError: It has another form.
    """
    conditions, moment_us, stuck_for_us = packed
    sets: dict[str, Any] = {name: frozenset(conditions[name]) for name in _SETS if name in conditions}
    values = {name: value for name, value in conditions.items() if name not in _SETS}
    return Selection(ListFilter(**sets, **values), moment_us, stuck_for_us)

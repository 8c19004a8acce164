"""Conditions on the state that an instance has when a request to change it arrives.

The rule: a condition is checked in the turn that would make the change, so the instance cannot change in between.

Requests with `If-Match` name the run that the caller has seen; bulk operations bring the filter by which they found
the instance.
"""

from typing import NamedTuple

from ...actors.store.listing import Facets, ListFilter, matches
from ..errors import NoMatch, RequestRefused, RunChanged
from ..history.record import InstanceRecord


class Condition(NamedTuple):
    """A condition of a request. All parts must hold; an empty condition holds for every instance."""

    # The execution id of the first generation (`InstanceRecord.run_id`) is one of these; None: any.
    runs: frozenset[str] | None = None
    filter: ListFilter | None = None
    stuck_since_us: int | None = None  # stalled, set aside, or in an activity without a turn since then; Unix time


ANY = Condition()


def of_run(run: str | None) -> Condition:
    """The condition that an instance is still one run.

    Args:
        run: The execution id of its first generation; None: any.
    """
    return Condition(runs=frozenset((run,))) if run is not None else ANY


def unmet(
    condition: Condition,
    instance_id: str,
    record: InstanceRecord,
    *,
    facets: Facets,
    idle_since_us: int | None,
    stuck_since_us: int | None,
) -> RequestRefused | None:
    """Say why an instance does not meet a condition; None if it does.

    Args:
        facets: The present facets of the instance.
        idle_since_us: When its last turn was, if it has work in flight; as for `matches`.
        stuck_since_us: Since when it has made no progress; Unix time, microseconds. None: it is not stuck.
    """
    if condition.runs is not None and record.run_id not in condition.runs:
        return RunChanged(instance_id, expected=sorted(condition.runs), found=record.run_id)
    if condition.filter is not None and not matches(condition.filter, instance_id, facets, idle_since_us=idle_since_us):
        return NoMatch(instance_id)
    if condition.stuck_since_us is not None and (stuck_since_us is None or stuck_since_us > condition.stuck_since_us):
        return NoMatch(instance_id)
    return None

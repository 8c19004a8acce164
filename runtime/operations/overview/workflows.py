"""Workflows and activities of a daemon, with the number of instances and attempts of each.

The rule: the figures come from the counters of the store and from the memory of the hosts; no instance is read.

`http/management/routes/overview.py` shows them.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ....actors.hosting.host import Host
from ....actors.store.listing import ListFilter
from ...authoring.codec import NO_TYPE
from ...authoring.parameters import Parameters
from ...workers.activity_figures import ActivityLoad, AttemptFigures, figures_of
from .reports import Reports
from .series import Series, add_up, by_workflow

logger = logging.getLogger(__name__)


class WorkflowReport(NamedTuple):
    """A workflow, by its name."""

    name: str
    registered: bool  # the app has it; else it is a worker's, or only instances of it are left
    counts: Mapping[str, int]  # instances by status
    last_hour: Sequence[int]  # started, completed, failed, terminated
    input_schema: Mapping[str, Any] | None  # JSON Schema; None: its input has no type


class ActivityReport(NamedTuple):
    """An activity, by its name."""

    name: str
    registered: bool
    load: ActivityLoad  # of all hosts
    figures: AttemptFigures | None  # of the newest attempts of each host; None: there were none
    limit: int | None  # how many run at once on a host, alone or with others of their kind; None: no limit


class Inventory:
    """Lists workflows and activities with their figures."""

    def __init__(self, host: Host, reports: Reports, series: Series) -> None:
        self._host = host
        self._reports = reports
        self._series = series

    async def workflows(self) -> list[WorkflowReport]:
        """List the workflows that the app has or that have instances, by name.

        Raises:
            StoreError, HostUnreachable, HostLost, HostSilent: The store or a host did not answer.
        """
        counted = await self._host.lists.count(self._reports.own_app.workflow, ListFilter(), by=("name", "status"))
        counts: dict[str, dict[str, int]] = {}
        for (name, status), total in counted.groups:
            counts.setdefault(str(name), {})[str(status)] = total
        hour = await self._last_hour()
        app = self._reports.app
        known = app.workflows if app is not None else {}
        return [
            WorkflowReport(
                name,
                name in known,
                counts.get(name, {}),
                hour.get(name, (0, 0, 0, 0)),
                input_schema(known[name].parameters) if name in known else None,
            )
            for name in sorted(counts.keys() | known.keys())
        ]

    async def _last_hour(self) -> dict[str, list[int]]:
        """Count the instances that have begun and ended within the last hour, by workflow."""
        total: dict[str, list[int]] = {}
        for report in (await self._reports.all()).values():
            if report is not None:
                add_up(total, by_workflow(report))
        before = await self._series.before_the_hour()
        return {
            name: [max(0, now - then) for now, then in zip(counts, before.get(name, [0, 0, 0, 0]), strict=True)]
            for name, counts in total.items()
        }

    async def activities(self) -> list[ActivityReport]:
        """List the activities that the app has or that are or were under way, by name."""
        app = self._reports.app
        known = app.activities if app is not None else {}
        loads: dict[str, ActivityLoad] = {}
        attempts: dict[str, list[float]] = {}
        for report in (await self._reports.all()).values():
            if report is None:
                continue
            for name, load in report.loads.items():
                loads[name] = added(loads.get(name, ActivityLoad()), ActivityLoad(*load))
            for name, took_s in report.attempts.items():
                attempts.setdefault(name, []).extend(took_s)
        return [
            ActivityReport(
                name,
                name in known,
                loads.get(name, ActivityLoad()),
                figures_of(attempts.get(name, ())),
                self._reports.limit_of(name),
            )
            for name in sorted(known.keys() | loads.keys() | attempts.keys())
        ]


def added(one: ActivityLoad, other: ActivityLoad) -> ActivityLoad:
    """Add the loads of two hosts."""
    oldest = [each for each in (one.oldest_us, other.oldest_us) if each is not None]
    return ActivityLoad(one.running + other.running, one.waiting + other.waiting, min(oldest, default=None))


def input_schema(parameters: Parameters) -> Mapping[str, Any] | None:
    """Make the JSON Schema of an input; None if it has no type, or one that has no schema."""
    wanted = parameters.input.wanted
    if not parameters.takes_input or wanted in (NO_TYPE, object):
        return None
    try:
        if hasattr(wanted, "model_json_schema"):  # of Pydantic
            found: Mapping[str, Any] = wanted.model_json_schema()
        else:
            found = msgspec.json.schema(wanted)
    except Exception as error:  # the schema of a user's type may be made by the user's code
        logger.debug("the input %r has no schema: %s", wanted, error)
        return None
    return found

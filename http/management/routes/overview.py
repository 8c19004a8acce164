"""The handlers that show the daemon: hosts, workers, workflows, activities, figures over time, the audit.

The rule: a handler reads the query, makes one call and encodes. A host that does not answer is shown without figures.

`http/management/app.py` adds the endpoints.
"""

import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from ....actors.store.audit import AuditFilter
from ....api.management.moments import Moment, encode
from ....api.management.overview import (
    ActivityList,
    ActivityView,
    AttentionView,
    AuditEntryView,
    AuditList,
    ConcernView,
    HostList,
    HostView,
    LastHour,
    SeriesView,
    StoreView,
    SystemView,
    WorkerList,
    WorkerView,
    WorkflowList,
    WorkflowView,
)
from ....api.management.shapes import summary
from ....api.management.words import LISTS_UNFINISHED, REQUEST_INVALID
from ....api.sidecar import Sidecar
from ....runtime.history.audit import AuditAction, AuditEntry
from ....runtime.operations.management import InstanceOperations
from ....runtime.operations.overview.attention import Concern
from ....runtime.operations.overview.roster import RosterLine, roster
from ....runtime.operations.overview.series import NAMES, STEP_S, STEPS
from ....runtime.operations.overview.workflows import ActivityReport, WorkflowReport
from ....runtime.operations.reading.listing import InstanceFilter
from ..call import ManagementCall
from ..endpoint import JSON, Endpoint, QueryField, Success
from .endpoints import CURSOR, LIMIT_MAX, WORD, listed, number, words

LIMIT = 100
WINDOW_US = STEP_S * STEPS * 10**6
STEP_PATTERN = {"type": "string", "pattern": "^([1-9][0-9]?|[12][0-9]{2}|3[0-5][0-9]|360)0s?$"}


def _get(operation: str, path: str, summary: str, struct: type, *errors: Any, **more: Any) -> Endpoint:
    return Endpoint(
        operation, "GET", path, "daemon", summary, (Success(200, summary, struct),), errors=tuple(errors), **more
    )


OVERVIEW = (
    _get("get_system", "/system", "Describe the daemon and its store", SystemView, LISTS_UNFINISHED),
    _get("get_attention", "/attention", "List instances that need attention", AttentionView, LISTS_UNFINISHED),
    _get("list_hosts", "/hosts", "List the hosts of the daemon", HostList),
    _get("list_workers", "/workers", "List the remote workers that are connected", WorkerList),
    _get("list_workflows", "/workflows", "List workflows with counts", WorkflowList, LISTS_UNFINISHED),
    _get("list_activities", "/activities", "List activities with figures", ActivityList),
    _get(
        "get_series",
        "/series",
        "Show figures over time",
        SeriesView,
        REQUEST_INVALID,
        query=(
            QueryField("names", listed(*NAMES), "All by default"),
            QueryField("window", STEP_PATTERN, f"How far back in seconds: {STEP_S * STEPS} by default, and at most"),
            QueryField("step", STEP_PATTERN, f"A multiple of {STEP_S} s, which is the default"),
        ),
        description=" ".join(
            [
                "From a ring in memory, of all hosts together. Whole steps only. The names:",
                *(f"`{name}`: {text}." for name, text in NAMES.items()),
            ]
        ),
    ),
    _get(
        "list_audit",
        "/audit",
        "Read the audit: each change, its author and the reason",
        AuditList,
        query=(
            QueryField("id", WORD, "Of the instance"),
            QueryField("actor", WORD, "The name of the token"),
            QueryField("action", words(*AuditAction), "What was done"),
            QueryField("after", {"type": "string", "format": "date-time"}, "Included"),
            QueryField("before", {"type": "string", "format": "date-time"}, "Excluded"),
            CURSOR,
            QueryField("limit", number(1, LIMIT_MAX), f"{LIMIT} by default"),
        ),
        description="Newest first. Starts and events are not in the audit, but in the history of their instance.",
    ),
)


class OverviewRoutes:
    """The handlers of the overview.

    Args:
        sidecar: The daemon.
        configuration: The configuration in effect, without secrets.
        app_ids: The apps that a request may name; None: only the app of the daemon.
    """

    def __init__(
        self,
        management: InstanceOperations,
        sidecar: Sidecar,
        configuration: Mapping[str, Any],
        app_ids: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        self.management = management
        self.sidecar = sidecar
        self.configuration = dict(configuration)
        self.app_ids = app_ids or (lambda: (sidecar.app_id,))

    async def get_system(self, call: ManagementCall) -> Response:
        """Describe the daemon: its hosts, its store, counts."""
        hosts = await self.management.reports.all()
        known = [report for report in hosts.values() if report is not None]
        counted = await self.management.views.listing.count(InstanceFilter(), ("status",))
        sizes = [report.store for report in known if report.store is not None]
        store = StoreView(
            kind=self.management.reports.store_kind,
            bytes=sum(size.file_bytes for size in sizes) if sizes else None,
            wal_bytes=sum(size.wal_bytes for size in sizes) if sizes else None,
            instances={str(status): total for (status,), total in counted.groups},
        )
        return shown(
            SystemView(
                version=self.sidecar.control.runtime_version,
                python=platform.python_version(),
                app_id=self.sidecar.app_id,
                apps=list(self.app_ids()),
                ready=self.sidecar.control.ready(),
                began=Moment.at(min(report.began_us for report in known)),
                hosts=len(hosts),
                workers=sum(len(report.workers) for report in known),
                store=store,
                configuration=self.configuration,
            )
        )

    async def get_attention(self, call: ManagementCall) -> Response:
        """List the kinds of instances that may need attention."""
        found = await self.management.attentions.find()
        return shown(AttentionView(**{name: concern(each) for name, each in found._asdict().items()}))

    async def list_hosts(self, call: ManagementCall) -> Response:
        """List the hosts of the daemon."""
        reports = self.management.reports
        seen = reports.seen()
        lines = roster(await reports.all(), seen)
        known = seen if seen is not None and seen.shards else None
        return shown(
            HostList(
                items=[host(line) for line in lines],
                shards=known.shards if known is not None else None,
                free=known.free if known is not None else None,
            )
        )

    async def list_workers(self, call: ManagementCall) -> Response:
        """List the remote workers that are connected to any host."""
        hosts = await self.management.reports.all()
        workers = [worker for report in hosts.values() if report is not None for worker in report.workers]
        return shown(
            WorkerList(
                items=[
                    WorkerView(
                        host=each.host,
                        peer=each.peer,
                        version=each.agent,
                        connected=Moment.at(each.connected_us),
                        last_seen=Moment.at(each.seen_us),
                        turns=each.turns,
                        activities=each.activities,
                    )
                    for each in workers
                ]
            )
        )

    async def list_workflows(self, call: ManagementCall) -> Response:
        """List the workflows that are registered or have instances."""
        found = await self.management.inventory.workflows()
        return shown(WorkflowList(items=[workflow(each) for each in found]))

    async def list_activities(self, call: ManagementCall) -> Response:
        """List the activities that are registered or have attempts."""
        found = await self.management.inventory.activities()
        return shown(ActivityList(items=[activity(each) for each in found]))

    async def get_series(self, call: ManagementCall) -> Response:
        """Answer with series of figures over the last hour."""
        names = call.query.choices("names", list(NAMES)) or list(NAMES)
        window_us = call.query.length("window", WINDOW_US, high_us=WINDOW_US)
        step_us = call.query.length("step", STEP_S * 10**6, high_us=WINDOW_US)
        page = await self.management.series.read(names, window_s=window_us // 10**6, step_s=step_us // 10**6)
        values = {name: list(found) for name, found in page.values.items()}
        return shown(SeriesView(start=Moment.at(page.from_us), step=page.step_us // 10**6, values=values))

    async def list_audit(self, call: ManagementCall) -> Response:
        """List the entries of the audit in pages, the newest first."""
        query = call.query
        action = query.values.get("action")
        wanted = AuditFilter(
            id=query.word("id"),
            author=query.word("actor"),
            action=query.choice("action", "", list(AuditAction)) if action is not None else None,
            since_us=query.moment("after"),
            until_us=query.moment("before"),
        )
        limit = query.number("limit", LIMIT, low=1, high=LIMIT_MAX)
        page = await self.management.audits.page(wanted, cursor=query.text("cursor"), limit=limit)
        return shown(AuditList(items=[audit_entry(entry) for entry in page.entries], cursor=page.cursor))


def shown(struct: object) -> Response:
    """Answer with a struct that is not cacheable, because it shows the present state."""
    return Response(encode(struct), headers={"cache-control": "no-store"}, media_type=JSON)


def concern(found: Concern) -> ConcernView:
    """Return a kind of instances that may need attention, in the API's form."""
    return ConcernView(count=found.total, more=found.more, items=[summary(item) for item in found.items])


def host(line: RosterLine) -> HostView:
    """Return a host in the API's form; a host that does not answer has no report."""
    report, seen = line.report, line.seen
    of_seen: dict[str, Any] = {}
    if seen is not None:
        of_seen = {
            "machine": seen.card.name,
            "address": seen.card.address,
            "version": seen.card.release,
            "shards": seen.shards,
            "beat": seen.beat,
            "silent": round(seen.silent_s, 3) if seen.silent_s is not None else None,
        }
    if report is None:
        return HostView(name=line.name, ready=False, state=line.state, **of_seen)
    values: dict[str, Any] = {"version": report.release, "shards": report.shards, **of_seen}
    return HostView(
        name=line.name,
        ready=report.healthy,
        state=line.state,
        kills=report.kills,
        pid=report.pid,
        began=Moment.at(report.began_us),
        activations=report.activations,
        turns=report.turns,
        commits=report.commits,
        workers=len(report.workers),
        passed_on=sum(each.turns + each.activities for each in report.elsewhere.values()),
        lacks=list(report.lacks),
        awaiting=report.awaiting,
        store_bytes=report.store.file_bytes if report.store is not None else None,
        wal_bytes=report.store.wal_bytes if report.store is not None else None,
        **values,
    )


def workflow(report: WorkflowReport) -> WorkflowView:
    """Return a workflow in the API's form."""
    started, completed, failed, terminated = report.last_hour
    schema = report.input_schema
    return WorkflowView(
        name=report.name,
        registered=report.registered,
        counts=dict(report.counts),
        last_hour=LastHour(started=started, completed=completed, failed=failed, terminated=terminated),
        input_schema=dict(schema) if schema is not None else None,
    )


def activity(report: ActivityReport) -> ActivityView:
    """Return an activity in the API's form."""
    figures = report.figures
    return ActivityView(
        name=report.name,
        registered=report.registered,
        running=report.load.running,
        waiting=report.load.waiting,
        oldest=Moment.maybe(report.load.oldest_us),
        limit=report.limit,
        attempts=figures.attempts if figures is not None else 0,
        p50_ms=round(figures.p50_s * 1e3, 3) if figures is not None else None,
        p99_ms=round(figures.p99_s * 1e3, 3) if figures is not None else None,
        failure_share=round(figures.failed / figures.attempts, 4) if figures is not None else None,
    )


def audit_entry(entry: AuditEntry) -> AuditEntryView:
    """Return an entry of the audit in the API's form."""
    return AuditEntryView(
        at=Moment.at(entry.at_us),
        actor=entry.actor,
        door=entry.door,
        action=entry.action,
        id=entry.instance_id,
        execution_id=entry.execution_id,
        reason=entry.reason,
        operation=entry.operation,
        source=entry.source,
        detail=entry.detail,
    )

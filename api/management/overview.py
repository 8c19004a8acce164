"""The structs of the daemon in the management API: its hosts, workers, workflows, activities, figures and audit.

The rule: these are records.

`http/management/routes/overview.py` makes them, and `client/management_client.py` reads them.
"""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from .instances import InstanceSummary

Count = Annotated[int, Meta(ge=0)]


class AuditEntryView(Struct, kw_only=True, frozen=True):
    """A change of an instance, and its author."""

    at: datetime
    actor: Annotated[str, Meta(description="The name of the token; without one: anonymous, embedded or offline")]
    door: Annotated[str, Meta(description="api, dapr-http, dapr-grpc, embedded, offline or engine")]
    action: str
    id: Annotated[str, Meta(description="Of the instance")]
    execution_id: Annotated[str | None, Meta(description="The execution id of the changed generation")]
    reason: str | None
    operation: Annotated[str | None, Meta(description="The bulk operation that the change belongs to")]
    source: Annotated[str | None, Meta(description="For a rerun: the instance that was run again")]
    detail: Annotated[str | None, Meta(description="For a repair: the action, and the event")]


class AuditList(Struct, kw_only=True, frozen=True):
    """A page of the audit, newest first."""

    items: list[AuditEntryView]
    cursor: Annotated[str | None, Meta(description="Opaque, for the next page; null: this page is the last")]


class HostView(Struct, kw_only=True, frozen=True):
    """A host: a process with a part of the store, or a share of a database. Without an answer most fields are null."""

    name: str
    ready: Annotated[bool, Meta(description="The host answers, and its store accepts writes")]
    version: Annotated[str | None, Meta(description="Of Perdure")] = None
    machine: Annotated[str | None, Meta(description="Its machine; null: all hosts are on one machine")] = None
    address: Annotated[str | None, Meta(description="Its address for other hosts; null: a socket of this run")] = None
    state: Annotated[
        str | None,
        Meta(description="serving, leaving, joining or uncertain; null: the hosts of this daemon are fixed"),
    ] = None
    beat: Annotated[int | None, Meta(description="A counter that grows twice a second if there are other hosts")] = None
    silent: Annotated[
        float | None, Meta(description="Seconds since `beat` last grew, measured by the host that answers")
    ] = None
    kills: Annotated[int | None, Meta(description="Dead hosts that it has taken over, since it began")] = None
    pid: int | None = None
    began: datetime | None = None
    shards: int | None = None
    activations: Annotated[int | None, Meta(description="Actors in memory")] = None
    turns: Annotated[int | None, Meta(description="Since it began")] = None
    commits: Annotated[int | None, Meta(description="Since it began")] = None
    workers: Annotated[int | None, Meta(description="Remote workers that are connected to it")] = None
    passed_on: Annotated[int | None, Meta(description="Its work items that workers of other hosts have")] = None
    lacks: Annotated[
        list[str] | None,
        Meta(description="Workflows and activities of other hosts that it lacks, such as `activity charge`"),
    ] = None
    awaiting: Annotated[int | None, Meta(description="Its instances that wait for the code of other hosts")] = None
    store_bytes: Annotated[int | None, Meta(description="The size of its file; null: no file")] = None
    wal_bytes: Annotated[int | None, Meta(description="The size of the log beside its file")] = None


class HostList(Struct, kw_only=True, frozen=True):
    """The hosts of the daemon."""

    items: list[HostView]
    shards: Annotated[int | None, Meta(description="The number of shards of the store; null: not known yet")] = None
    free: Annotated[int | None, Meta(description="Shards without a living owner; null: not known yet")] = None


class WorkerView(Struct, kw_only=True, frozen=True):
    """A remote worker that is connected."""

    host: Annotated[str, Meta(description="The host that it is connected to")]
    peer: Annotated[str, Meta(description="Its address")]
    version: Annotated[str, Meta(description="Its user-agent, with the SDK or the library and its version")]
    connected: datetime
    last_seen: Annotated[datetime, Meta(description="The time of its last answer, or of its connection")]
    turns: Annotated[int, Meta(ge=0, description="Turns that it works on, of all hosts")]
    activities: Annotated[int, Meta(ge=0, description="Activities that it works on, of all hosts")]


class WorkerList(Struct, kw_only=True, frozen=True):
    """The remote workers that are connected."""

    items: list[WorkerView]


class LastHour(Struct, kw_only=True, frozen=True):
    """Figures on starts and ends of instances in the last hour, or since the daemon began."""

    started: Count
    completed: Count
    failed: Count
    terminated: Count


class WorkflowView(Struct, kw_only=True, frozen=True):
    """A workflow."""

    name: str
    registered: Annotated[bool, Meta(description="The hosted app has it; if not, a worker may have it")]
    counts: Annotated[dict[str, int], Meta(description="Its instances, by status")]
    last_hour: LastHour
    input_schema: Annotated[dict[str, Any] | None, Meta(description="JSON Schema of its input; null: untyped")]


class WorkflowList(Struct, kw_only=True, frozen=True):
    """The workflows that are registered or have instances."""

    items: list[WorkflowView]


class ActivityView(Struct, kw_only=True, frozen=True):
    """An activity. Its figures cover the newest 256 attempts on each host."""

    name: str
    registered: Annotated[bool, Meta(description="The hosted app has it")]
    running: Count
    waiting: Annotated[int, Meta(ge=0, description="Attempts that wait for a free slot or for a worker")]
    oldest: Annotated[datetime | None, Meta(description="The start of the oldest running attempt")]
    limit: Annotated[
        int | None, Meta(description="The limit of concurrent attempts on a host, for it or its group; null: no limit")
    ]
    attempts: Count
    p50_ms: float | None
    p99_ms: float | None
    failure_share: Annotated[float, Meta(ge=0, le=1)] | None


class ActivityList(Struct, kw_only=True, frozen=True):
    """The activities that are registered or have attempts."""

    items: list[ActivityView]


class ConcernView(Struct, kw_only=True, frozen=True):
    """The instances of one kind that need attention."""

    count: Count
    more: Annotated[bool, Meta(description="The count stopped at its limit, and there are more")]
    items: Annotated[list[InstanceSummary], Meta(description="At most 20, the most urgent first")]


class AttentionView(Struct, kw_only=True, frozen=True):
    """The instances that need attention first."""

    stalled: ConcernView
    set_aside: ConcernView
    failed: Annotated[ConcernView, Meta(description="Within the last hour, the newest first")]
    waiting: Annotated[
        ConcernView, Meta(description="All instances under way, those without a change for the longest time first")
    ]
    timers_overdue: Annotated[
        ConcernView, Meta(description="Timers, delays and timeouts that are overdue by half a minute")
    ]
    workers_gone: Annotated[
        ConcernView, Meta(description="Instances that need a remote worker, while none is connected to their host")
    ]


class StoreView(Struct, kw_only=True, frozen=True):
    """The store."""

    kind: Annotated[str, Meta(description="sqlite, postgresql, memory, or the name of a class")]
    bytes: Annotated[int | None, Meta(description="The size of the files of all hosts; null: no files")]
    wal_bytes: int | None
    instances: Annotated[dict[str, int], Meta(description="By status")]


class SystemView(Struct, kw_only=True, frozen=True):
    """The daemon."""

    version: str
    python: str
    app_id: Annotated[str, Meta(description="The id of the first app, which is the default of requests")]
    apps: Annotated[list[str], Meta(description="All apps that a request may name; the daemon's own apps first")]
    ready: bool
    began: datetime
    hosts: int
    workers: Annotated[int, Meta(ge=0, description="Remote workers that are connected")]
    store: StoreView
    configuration: Annotated[dict[str, Any], Meta(description="The configuration in effect, without secrets")]


class SeriesView(Struct, kw_only=True, frozen=True):
    """Figures in equal steps, the oldest first."""

    start: Annotated[datetime, Meta(description="The start of the first step")]
    step: Annotated[int, Meta(description="The length of a step in seconds")]
    values: Annotated[dict[str, list[float | None]], Meta(description="By name, a value for each step; null: unknown")]

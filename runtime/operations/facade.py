"""The facade of a host's instances: HTTP, gRPC and embedded callers all call it.

The rule: a method that changes an instance returns after the commit that
holds the change. Payloads are JSON text, neither read nor checked.
"""

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from msgspec.structs import replace

from ...actors.errors import HostUnreachable
from ...actors.hosting.host import Host
from ...actors.store.contract import Inspection
from ...actors.store.errors import StoreDamaged
from ..authoring.limits import USUAL_LIMITS, WorkflowLimits, bytes_of, is_longer
from ..dates import within_time
from ..directory import AppAddresses
from ..errors import (
    ChildUnfinished,
    DescendantsUnknown,
    InstanceNotFound,
    InstanceStalled,
    InstanceUnfinished,
    InvalidRequest,
    LimitExceeded,
)
from ..execution.ids import make_id
from ..history.attribution import EMBEDDED, By, because
from ..history.event import Trace
from ..history.instance_state import InstanceState
from ..history.record import state_of, status_in, unpack_record
from ..history.row import CorruptHistory, Row, unpack_row
from ..history.status import Status
from ..instance.condition import ANY, Condition
from ..instance.message import (
    Purge,
    RaiseEvent,
    ReleaseAside,
    Repair,
    Resume,
    Start,
    Suspend,
    Terminate,
)
from ..observing.observer import UNWATCHED, OperationWatch, Tracing
from ..observing.request import traced_start
from .descendants import Descendants
from .purging import PurgeFilter, Purging
from .rerun import Rerun, start_copy
from .tags import checked_tags, refuse_nul

PAGE_IDS = 1024  # of one page, unless the caller says otherwise


class Page(NamedTuple):
    """A part of the list of all ids."""

    ids: Sequence[str]  # in their order
    token: str | None  # requests the next page; None: this is the last


def finished(status: Status) -> bool:
    """Whether an instance with this status has ended."""
    return status.terminal


class Facade:
    """Starts, describes and steers instances.

    Args:
        own: The addresses of the app whose instances they are; None: the host has one app.
        watch: Notified of each operation once; None: no watch.
        limits: On the names, ids and payloads that a caller may give; `payload_bytes_max` and `name_bytes_max` count.
    """

    def __init__(
        self,
        host: Host,
        *,
        own: AppAddresses | None = None,
        watch: OperationWatch | None = None,
        limits: WorkflowLimits = USUAL_LIMITS,
        tracing: Tracing | None = None,
    ) -> None:
        self._host = host
        self.own = own or AppAddresses()
        self._limits = limits
        self._descendants = Descendants(host, self.own)
        self._purging = Purging(host, self._descendants)
        self._watch = watch if watch is not None else UNWATCHED
        self.tracing = tracing

    def watched_by(self, watch: OperationWatch) -> "Facade":
        """Make another facade to the same host, which notifies a watch. The operations of this one are not reported."""
        return Facade(self._host, own=self.own, watch=watch, limits=self._limits, tracing=self.tracing)

    def of_app(self, app_id: str) -> "Facade":
        """Make the facade to the instances of another app, with that app's watch; for its own app, return itself."""
        if (own := self.own.of(app_id)) is self.own:
            return self
        return Facade(self._host, own=own, watch=self._watch.of_app(app_id), limits=self._limits, tracing=self.tracing)

    def start(
        self,
        name: str,
        *,
        instance_id: str | None = None,
        input: str | None = None,  # noqa: A002  Dapr's word, and the user's
        start_at_us: int | None = None,
        unique: bool = False,
        trace: Trace | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Coroutine[Any, Any, str]:
        """Start an instance and return its id.

        Args:
            instance_id: Any text; a new UUID by default. A finished instance's is free, unless a descendant runs.
            start_at_us: When its code is to begin; Unix time, microseconds.
            unique: Refuse the id of a finished instance too.
            trace: The trace that the caller is part of; passed on to workers.
            tags: Names and values by which lists can be filtered; 16 at most, names of 64 bytes, values of 256.

        Raises:
            InvalidRequest, InstanceExists, ChildUnfinished: Nothing was started.
            LimitExceeded: The name, the id, the input or the trace is too long.
        """
        start = Start(
            name,
            input,
            make_id(self._host.instruments),
            start_at_us=start_at_us,
            unique=unique,
            trace=trace,
            tags=checked_tags(tags) if tags else (),
        )
        return self.begin(instance_id, start)  # not awaited here: it would cost a call more for each start

    async def begin(self, instance_id: str | None, start: Start) -> str:
        """Send a start whose name and id come from a caller; see `start`."""
        with self._watch.operation("start"):
            if not start.name:
                raise InvalidRequest("workflow name is not configured")
            if instance_id == "":
                raise InvalidRequest("no instance ID was provided")
            self.check_name("the name of the workflow", start.name)
            if instance_id is not None:
                self.check_name("the instance ID", instance_id)
            self.check_payload("the input", start.input)
            trace = start.trace
            self.check_payload("the trace", "".join(part or "" for part in trace) if trace is not None else None)
            if start.start_at_us is not None:
                start = replace(start, start_at_us=within_time(start.start_at_us))
            if self.tracing is None:
                return await self._request_start(instance_id, start)
            return await traced_start(self.tracing, start, instance_id, self._request_start)

    async def request_start(self, instance_id: str, start: Start) -> str:
        """Send a start, and read the descendants of a finished instance with this id, if the actor requires it.

        Returns:
            The id.

        Raises:
            InstanceExists, ChildUnfinished: Nothing was started.
        """
        with self._watch.operation("start"):
            return await self._request_start(instance_id, start)

    async def _request_start(self, instance_id: str | None, start: Start) -> str:
        while instance_id is None:
            # On any host: a caller with a single connection talks to one host only, and all hosts should have work.
            with suppress(HostUnreachable):
                made: str = await self._host.ask(self.own.instance(make_id(self._host.instruments)), start, new=True)
                return made
        # Here too, because workflows name their children.
        refuse_nul("the name of the workflow", start.name)
        refuse_nul("the instance ID", instance_id)
        own = self.own if start.app is None else self.own.of(start.app)
        address = own.instance(instance_id)
        while True:
            try:
                started: str = await self._host.ask(address, start)
            except DescendantsUnknown as unknown:
                path = await self._descendants.unfinished(instance_id, own)
                if path is not None:
                    raise ChildUnfinished(instance_id, path) from None
                start = replace(start, descendants_finished=unknown.execution_id)
            else:
                return started

    async def inspect(self, instance_id: str) -> InstanceState | None:
        """Describe an instance as last committed; None if there is none."""
        with self._watch.operation("inspect"):
            return await self._inspect(instance_id)

    async def _inspect(self, instance_id: str) -> InstanceState | None:
        try:
            inspection = await self._host.inspect(self.own.instance(instance_id))
        except StoreDamaged as error:
            return state_of(instance_id, Inspection(b"", None, None, 0, stalled=error.stall))
        if inspection is None:
            return None
        try:
            return state_of(instance_id, inspection)
        except CorruptHistory as error:
            # Its actor cannot be loaded either: it is stalled, even if no message has shown that yet.
            return state_of(instance_id, replace(inspection, stalled=str(error)))

    async def raise_event(self, instance_id: str, name: str, data: str | None = None) -> None:
        """Send an event to an instance. A finished instance takes it and drops it.

        Raises:
            InvalidRequest, InstanceNotFound, InstanceStalled
            LimitExceeded: The name or the data is too long.
            InstanceFull: The instance takes no events at present, and holds the maximum.
        """
        with self._watch.operation("raise_event"):
            if not name:
                raise InvalidRequest("missing workflow event name")
            self.check_name("the name of the event", name)
            self.check_payload("the data of the event", data)
            await self._host.ask(self.own.instance(instance_id), RaiseEvent(name, data))

    async def deliver(self, instance_id: str, event: RaiseEvent) -> None:
        """Give an instance an event of another instance, or a strict event of a caller.

        A finished instance drops an event of another instance. A stalled instance keeps both.

        Raises:
            InvalidRequest, InstanceNotFound
            EventRefused, RunChanged, NoMatch: A strict event was not taken.
        """
        with self._watch.operation("raise_event"):
            if not event.name:
                raise InvalidRequest("missing workflow event name")
            if event.strict:
                self.check_name("the name of the event", event.name)
                self.check_payload("the data of the event", event.input)
            await self._host.ask(self.own.instance(instance_id), event)

    # `by` is the author of the change, for the audit; None: the engine itself.

    async def suspend(
        self, instance_id: str, *, reason: str | None = None, by: By | None = EMBEDDED, condition: Condition = ANY
    ) -> Status | None:
        """Let an instance take no further step until it is resumed. Arrivals are kept.

        Args:
            reason: Stands in the history, and in the audit if `by` has none.
            condition: What the instance must still meet.

        Returns:
            None; or the present status, if nothing was changed because of it.

        Raises:
            InstanceNotFound, InstanceStalled, RunChanged, NoMatch
        """
        with self._watch.operation("suspend"):
            self.check_payload("the reason", reason)
            return await self._steer(instance_id, Suspend(reason, because(by, reason), condition))

    async def resume(
        self, instance_id: str, *, reason: str | None = None, by: By | None = EMBEDDED, condition: Condition = ANY
    ) -> Status | None:
        """Let a suspended instance go on.

        Args:
            reason: As for `suspend`; so are `condition` and the result.

        Raises:
            InstanceNotFound, InstanceStalled, RunChanged, NoMatch
        """
        with self._watch.operation("resume"):
            self.check_payload("the reason", reason)
            return await self._steer(instance_id, Resume(reason, because(by, reason), condition))

    async def terminate(
        self,
        instance_id: str,
        *,
        output: str | None = None,
        recurse: bool = True,
        by: By | None = EMBEDDED,
        condition: Condition = ANY,
        stalled_too: bool = False,
    ) -> Status | None:
        """End an instance without running its code; its activities are withdrawn (docs/design/activities.md).

        Args:
            output: The result that the instance then has; JSON text.
            recurse: End its children too; also stalled ones.
            condition: What the instance must still meet.
            stalled_too: End it even if it is stalled. An instance that is set aside is ended in any case.

        Returns:
            None; or the final status, if nothing was changed because it had ended already.

        Raises:
            InstanceNotFound, InstanceStalled, RunChanged, NoMatch
        """
        with self._watch.operation("terminate"):
            self.check_payload("the output", output)
            self._check_author(by)
            return await self._steer(instance_id, Terminate(output, recurse, None, by, condition, stalled_too))

    async def _steer(self, instance_id: str, message: Suspend | Resume | Terminate) -> Status | None:
        answer: str | None = await self._host.ask(self.own.instance(instance_id), message)
        return Status[answer] if answer is not None else None

    async def release(
        self, instance_id: str, *, begin: bool = True, by: By | None = EMBEDDED, condition: Condition = ANY
    ) -> None:
        """Let an instance that is set aside go on.

        Args:
            begin: False only records it; open entries begin with the next daemon of the store.
            condition: What the instance must still meet.

        Raises:
            InstanceNotFound, InstanceNotSetAside, RunChanged, NoMatch
        """
        with self._watch.operation("release"):
            self._check_author(by)
            await self._host.ask(self.own.instance(instance_id), ReleaseAside(begin, by, condition))

    async def purge(
        self,
        instance_id: str,
        *,
        recurse: bool = True,
        force: bool = False,
        by: By | None = EMBEDDED,
        condition: Condition = ANY,
        stalled_too: bool = False,
    ) -> int:
        """Forget a finished instance and return how many were forgotten.

        Children go first, so that a purge that is cut short can be repeated.

        Args:
            recurse: Forget its descendants too; all of them must be finished.
            force: Forget it with any status.
            condition: What the instance itself must still meet.
            stalled_too: Forget stalled ones too. Instances that are set aside are forgotten in any case.

        Raises:
            InstanceNotFound, InstanceUnfinished, InstanceStalled, RunChanged, NoMatch
        """
        with self._watch.operation("purge"):
            self._check_author(by)
            return await self._purging.purge(instance_id, Purge(force, by, condition, stalled_too), recurse=recurse)

    async def repair(self, instance_id: str, repair: Repair) -> None:
        """Give an instance an arrival that it could have had.

        Raises:
            InstanceNotFound, RepairRefused, LimitExceeded, RunChanged, NoMatch: Nothing was done.
        """
        with self._watch.operation("repair"):
            self.check_payload("the result", repair.result)
            self._check_author(repair.by)
            await self._host.ask(self.own.instance(instance_id), repair)

    async def wait(
        self, instance_id: str, until: Callable[[Status], bool] = finished, *, await_creation: bool = False
    ) -> InstanceState:
        """Wait until the committed status satisfies `until`.

        Args:
            await_creation: Wait for an instance that does not exist to come into being, in place of raising
                InstanceNotFound. The caller bounds it by cancelling.

        Raises:
            InstanceNotFound: It does not exist, or was purged meanwhile.
            HostStopping, HostBroken: The host has ended before that.
        """
        address = self.own.instance(instance_id)
        with self._watch.operation("wait"), self._host.watch(address) as watch:
            while True:
                watch.record = None  # commits from here on count, whether the inspection sees them or not
                watch.lost = False
                try:
                    inspection = await self._host.inspect(address)
                except StoreDamaged as error:
                    inspection = Inspection(b"", None, None, 0, stalled=error.stall)
                if inspection is None and not await_creation:
                    raise InstanceNotFound(instance_id)
                if inspection is not None and inspection.stalled is None:
                    try:
                        record = unpack_record(inspection.record)
                        if until(record.status):
                            return state_of(instance_id, inspection, record)
                    except CorruptHistory as error:
                        inspection = replace(inspection, stalled=str(error))
                if inspection is not None and inspection.stalled is not None and until(Status.STALLED):
                    return state_of(instance_id, inspection)
                watch.deleted = False
                # To read the status in a record costs less than an inspection.
                while not watch.lost and (watch.record is None or not until(status_in(watch.record))):
                    if watch.deleted and not await_creation:
                        raise InstanceNotFound(instance_id)
                    if (refusal := self._host.refusal) is not None:
                        raise refusal
                    await watch.changed()

    async def list_ids(self, *, after: str | None = None, ids_max: int = PAGE_IDS) -> Page:
        """List the ids of all instances, children included, in their order.

        Args:
            after: The token of the page before.
            ids_max: How many at most; at least 1.
        """
        with self._watch.operation("list_ids"):
            return await self._list_ids(after=after, ids_max=ids_max)

    async def _list_ids(self, *, after: str | None, ids_max: int) -> Page:
        if ids_max < 1:
            raise InvalidRequest(f"a page has at least 1 ID, not {ids_max}")
        ids = await self._host.ids(self.own.workflow, after=after, limit=ids_max + 1)
        return Page(ids[:ids_max], ids[ids_max - 1] if len(ids) > ids_max else None)

    async def history(self, instance_id: str) -> list[Row] | None:
        """Return the rows of the current generation as last committed; None if there is no such instance."""
        with self._watch.operation("history"):
            stored = await self._host.read(self.own.instance(instance_id))
            return [unpack_row(entry) for entry in stored.entries] if stored is not None else None

    async def purge_where(
        self,
        *,
        created_from_us: int | None = None,
        created_to_us: int | None = None,
        statuses: Collection[Status] = (),
        recurse: bool = True,
        force: bool = False,
        by: By | None = EMBEDDED,
    ) -> int:
        """Forget the instances that a filter fits, and return how many were forgotten.

        Instances that are not finished are passed over, unless `force`; so are instances that are purged meanwhile.

        Args:
            created_from_us: Unix time, microseconds; included. None: no limit. `created_to_us` is excluded.
            statuses: The statuses that fit; empty: all.
        """
        with self._watch.operation("purge_where"):
            purged, wanted = 0, PurgeFilter(created_from_us, created_to_us, statuses)
            after: str | None = None
            while True:
                page = await self._list_ids(after=after, ids_max=PAGE_IDS)
                for instance_id in page.ids:
                    state = await self._inspect(instance_id)
                    if state is not None and wanted.fits(state, force=force):
                        with suppress(InstanceNotFound, InstanceUnfinished, InstanceStalled):
                            purged += await self._purging.purge(instance_id, Purge(force, by), recurse=recurse)
                if page.token is None:
                    return purged
                after = page.token

    async def rerun(self, rerun: Rerun, *, by: By | None = EMBEDDED) -> str:
        """Start a copy of a finished instance from one of its events on, and return the copy's id.

        Raises:
            RerunRefused, EventNotFound, EventNotRerunnable, RerunExists, InstanceNotFound
        """
        with self._watch.operation("rerun"):
            new_id = rerun.new_id or make_id(self._host.instruments)
            self.check_name("the instance ID", new_id)
            self.check_payload("the input", rerun.input)
            if rerun.new_child_id is not None:
                self.check_name("the instance ID of the child", rerun.new_child_id)
            await start_copy(self._host, self.own, rerun._replace(new_id=new_id), by)
            return new_id

    def check_name(self, what: str, name: str) -> None:
        """Refuse a name that is too long, or has a NUL. Instances of older stores keep theirs, and can be reached.

        Raises:
            LimitExceeded: It is too long.
            NulRefused: It has a NUL.
        """
        refuse_nul(what, name)
        if is_longer(name, maximum := self._limits.name_bytes_max):
            raise LimitExceeded(what, limit="name_bytes_max", found=bytes_of(name), maximum=maximum)

    def _check_author(self, by: By | None) -> None:
        """Refuse a reason that is too long for the audit."""
        if by is not None:
            self.check_payload("the reason", by.reason)

    def check_payload(self, what: str, text: str | None) -> None:
        """Refuse a payload that is too long; None is no payload.

        Raises:
            LimitExceeded: It is too long.
        """
        if text is not None and is_longer(text, maximum := self._limits.payload_bytes_max):
            raise LimitExceeded(what, limit="payload_bytes_max", found=bytes_of(text), maximum=maximum)

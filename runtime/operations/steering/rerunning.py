"""Rerunning: a finished instance is run again as a new one, from its beginning or from one of its events on.

The rule: the source stays as it is. The entry of the audit is the new instance's, and names the source.

`steering.py` offers it; `runtime/operations/rerun.py` makes the copy of a history.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ....actors.hosting.host import Host
from ....actors.store.contract import Stored
from ...errors import InstanceExists, InstanceNotFound
from ...execution.ids import make_id
from ...history.attribution import By
from ...history.event import (
    ChildCreated,
    Command,
    DetachedCreated,
    EventSent,
    ExecutionStarted,
    TaskScheduled,
    TimerCreated,
    Trace,
)
from ...history.facets import status_word
from ...history.open_work import OpenWork
from ...history.record import InstanceRecord, unpack_record
from ...history.row import Row, split, unpack_row
from ...instance.condition import ANY, Condition
from ...instance.message import Check, Start
from ..facade import Facade
from ..rerun import Rerun, RerunExists, RerunRefused, copied
from .id_taken import id_taken

KINDS: dict[type[Command], str] = {
    TaskScheduled: "activity",
    ChildCreated: "child",
    TimerCreated: "timer",
    EventSent: "event",
    DetachedCreated: "detached",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunRequest:
    """A rerun as a caller of the management API requests it."""

    source_id: str
    from_event: int | None = None  # an event id of Dapr's; None: from the beginning
    new_id: str | None = None  # None: a new UUID
    input: str | None = None  # JSON text: of the instance, or of the event from which on it is run again
    overwrite_input: bool = False  # whether `input` counts; None is then no input
    condition: Condition = ANY  # what the source must still meet


class RerunStep(NamedTuple):
    """A request of an instance's code."""

    event_id: int
    kind: str  # of KINDS
    name: str | None  # of the activity, the workflow or the event; of a timer its purpose


class RerunPlan(NamedTuple):
    """The steps that a rerun would keep and repeat."""

    kept: Sequence[RerunStep]  # with the answers that they have had
    repeated: Sequence[RerunStep]  # are requested again; later ones only if the code decides as it did


class Rerunning:
    """Runs instances of a host again.

    Args:
        check_workflow: Refuses the name of an unknown workflow.
    """

    def __init__(self, host: Host, facade: Facade, check_workflow: Callable[[str], None]) -> None:
        self._host = host
        self._facade = facade
        self._check_workflow = check_workflow

    async def rerun(self, request: RerunRequest, by: By) -> str:
        """Begin the new instance and return its id; see `Steering.rerun`."""
        record, stored = await self._source(request)
        self._check_workflow(record.name)
        try:
            if request.from_event is not None:
                return await self._facade.rerun(_rerun_of(request), by=by)
            start = Start(
                record.name,
                request.input if request.overwrite_input else _input_of(_rows_of(stored)),
                make_id(self._host.instruments),
                unique=True,
                trace=_trace_of(_rows_of(stored)),
                tags=record.tags,
                rerun_of=request.source_id,
                by=by,
            )
            return await self._facade.begin(request.new_id, start)
        except (InstanceExists, RerunExists) as error:
            raise await id_taken(self._host, self._facade.own, error.instance_id) from None

    async def plan(self, request: RerunRequest) -> RerunPlan:
        """The plan of a rerun; see `rerun` for the errors."""
        record, stored = await self._source(request)
        rows = _rows_of(stored)
        if request.from_event is None:
            return RerunPlan((), _steps(rows))
        now_us = self._host.clock.now_us()
        new_id = request.new_id or make_id(self._host.instruments)
        copy = copied(
            rows,
            _rerun_of(request),
            new_id=new_id,
            execution_id=make_id(self._host.instruments),
            now_us=now_us,
            remote=record.remote,
        )
        work = OpenWork.of(copy.rows, remote=record.remote)
        again = {*work.tasks, *work.children, *work.timers, *(each.event_id for each in copy.sent)}
        known = _steps(copy.rows)
        first = {step.event_id for step in known}
        later = [step for step in _steps(rows) if step.event_id not in first]
        return RerunPlan(
            [step for step in known if step.event_id not in again],
            [*(step for step in known if step.event_id in again), *later],
        )

    async def _source(self, request: RerunRequest) -> tuple[InstanceRecord, Stored]:
        """Read the source, which must have ended."""
        address = self._facade.own.instance(request.source_id)
        if request.new_id == request.source_id:
            raise RerunRefused(f"instance {request.source_id!r} cannot be its own rerun. Choose another new ID.")
        if request.condition != ANY:
            await self._host.ask(address, Check(request.condition))
        stored = await self._host.read(address)
        if stored is None:
            raise InstanceNotFound(request.source_id)
        record = unpack_record(stored.record)
        if not record.status.terminal:
            raise RerunRefused(
                f"instance {request.source_id!r} is {status_word(record)}, and only one that has ended is run again. "
                "Wait for its end, or terminate it."
            )
        if request.from_event is not None and record.parent is not None:
            raise RerunRefused(
                f"instance {request.source_id!r} is a child of {record.parent.instance_id!r}, and a child cannot be "
                "run again from an event. Run it again from its beginning, or its parent from the event of the child."
            )
        return record, stored


def _rows_of(stored: Stored) -> list[Row]:
    return [unpack_row(entry) for entry in stored.entries]


def _rerun_of(request: RerunRequest) -> Rerun:
    assert request.from_event is not None
    return Rerun(
        request.source_id,
        request.from_event,
        new_id=request.new_id,
        input=request.input,
        overwrite_input=request.overwrite_input,
    )


def _input_of(rows: Sequence[Row]) -> str | None:
    """The input of the generation that these rows are of."""
    started = _start_in(rows)
    return started.input if started is not None else None


def _trace_of(rows: Sequence[Row]) -> Trace | None:
    """The trace in which that generation began. The rerun is part of it too."""
    started = _start_in(rows)
    return started.trace if started is not None else None


def _start_in(rows: Sequence[Row]) -> ExecutionStarted | None:
    events = (event for row in rows for event in (*(row.turn or ()), *row.held))
    return next((event for event in events if isinstance(event, ExecutionStarted)), None)


def _steps(rows: Sequence[Row]) -> list[RerunStep]:
    """The requests of the code, in their order."""
    steps: list[RerunStep] = []
    for row in rows:
        for command in split(row.turn or ())[1]:
            kind = KINDS.get(type(command))
            if kind is not None:
                steps.append(RerunStep(command.event_id, kind, _name_of(command)))  # type: ignore[union-attr]  # KINDS'
    return steps


def _name_of(command: Command) -> str | None:
    return command.reference if isinstance(command, TimerCreated) else getattr(command, "name", None)

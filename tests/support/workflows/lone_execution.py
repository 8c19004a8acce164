"""Workflow code without an actor: events in by hand, commands out, and the rows that a turn would have recorded."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from perdure import App, FailureDetails, Status
from perdure.journal.journal import Journal
from perdure.runtime.activities.steps import watch_calls
from perdure.runtime.authoring.codec import Encoder
from perdure.runtime.authoring.limits import USUAL_LIMITS, WorkflowLimits
from perdure.runtime.execution.drive import ContinuedAsNew, Execution
from perdure.runtime.execution.replay import replay
from perdure.runtime.history.event import (
    Arrival,
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    Command,
    EventRaised,
    ExecutionCompleted,
    ExecutionStarted,
    Parent,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from perdure.runtime.history.failure import failure_of
from perdure.runtime.history.row import Row, RowPacker, unpack_row

ENCODER = Encoder()
PACKER = RowPacker()
START_US = 1_767_225_600_000_000  # New Year 2026


class LoneExecution:
    """One execution of a workflow function, from its first event on.

    Args:
        function: The workflow; registered under its name in a new app.
        given: Its input, a value.
        app: The app in which it is registered already.
        limits: Of its requests.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        given: Any = None,
        *,
        instance_id: str = "i",
        execution_id: str = "x1",
        parent: Parent | None = None,
        app: App | None = None,
        limits: WorkflowLimits = USUAL_LIMITS,
    ) -> None:
        self.app = app or app_of(function)
        self.name = next(name for name, found in self.app.workflows.items() if found.function == function)
        self.instance_id = instance_id
        self.started = ExecutionStarted(self.name, ENCODER.encode(given), execution_id, parent)
        self.limits = limits
        self.execution = Execution(
            self.app.workflows[self.name], ENCODER, instance_id=instance_id, limits=limits, watch=watch_calls
        )
        self.now_us = START_US
        self.rows: list[Row] = []
        self.commands: list[Command] = []  # of all turns so far
        self.journal = Journal()  # of the turns, as after their commits
        self.taken = 0  # the number of events in the last turn

    # Actions of a test.

    def start(self, *more: Arrival) -> list[Command]:
        """Take the first turn."""
        return self.feed(self.started, *more)

    def feed(self, *events: Arrival, after_us: int = 1_000) -> list[Command]:
        """Take a turn with these events, and record it as `runtime/instance/turn.py` does."""
        self.now_us += after_us
        commands, self.taken = self.execution.feed(events, self.now_us)
        whose = {"instance_id": self.instance_id, "workflow": self.name}
        for note in self.execution.notes:
            self.journal.write(note.line, **(whose | note.values))
        self.rows.append(unpack_row(PACKER.pack(self.now_us, [*events, *commands], [])))
        self.commands += commands
        return commands

    def hold(self, *events: Arrival) -> None:
        """Record arrived events that are not fed yet, as while suspended."""
        self.rows.append(unpack_row(PACKER.pack(self.now_us, None, events)))

    def complete(self, task_id: int, value: Any = None) -> list[Command]:
        return self.feed(completed(task_id, value))

    def fail(self, task_id: int, error_type: str = "ValueError", message: str = "no", **more: Any) -> list[Command]:
        return self.feed(failed(task_id, error_type, message, **more))

    def complete_child(self, task_id: int, value: Any = None) -> list[Command]:
        return self.feed(ChildCompleted(task_id, ENCODER.encode(value)))

    def fail_child(self, task_id: int, error: Exception | None) -> list[Command]:
        """None: the child was terminated."""
        return self.feed(ChildFailed(task_id, failure_of(error).pack() if error is not None else None))

    def fire(self, timer_id: int) -> list[Command]:
        """Let time pass until a timer is due, and deliver it."""
        due_us = self.timer(timer_id).fire_at_us
        return self.feed(TimerFired(timer_id, due_us), after_us=max(1_000, due_us - self.now_us))

    def raise_event(self, name: str, value: Any = None) -> list[Command]:
        return self.feed(raised(name, value))

    def replayed(self, function: Callable[..., Any] | None = None, *, rows: Sequence[Row] | None = None) -> Execution:
        """Build the execution again from its rows, with other code if given."""
        app = self.app if function is None else app_of(function, self.name)
        again, _ = replay(
            app.workflows[self.name],
            ENCODER,
            instance_id=self.instance_id,
            rows=self.rows if rows is None else rows,
            limits=self.limits,
            watch=watch_calls,
        )
        return again

    def evict(self) -> None:
        """Continue an execution that was built again."""
        self.execution.close()
        self.execution = self.replayed()

    # State for a test.

    def timer(self, timer_id: int) -> TimerCreated:
        (found,) = [event for event in self.timers if event.event_id == timer_id]
        return found

    @property
    def tasks(self) -> list[TaskScheduled]:
        return [event for event in self.commands if isinstance(event, TaskScheduled)]

    @property
    def timers(self) -> list[TimerCreated]:
        return [event for event in self.commands if isinstance(event, TimerCreated)]

    @property
    def children(self) -> list[ChildCreated]:
        return [event for event in self.commands if isinstance(event, ChildCreated)]

    @property
    def status(self) -> Status:
        match self.execution.outcome:
            case None:
                return Status.RUNNING
            case ContinuedAsNew():
                return Status.CONTINUED_AS_NEW
            case ExecutionCompleted(status=status):
                return Status(status)

    @property
    def result(self) -> Any:
        """The result of the workflow, as a value."""
        outcome = self.execution.outcome
        assert isinstance(outcome, ExecutionCompleted), self.status
        assert outcome.status == Status.COMPLETED, FailureDetails.unpack(outcome.failure)
        return json.loads(outcome.result) if outcome.result is not None else None

    @property
    def failure(self) -> FailureDetails:
        """The failure of the workflow."""
        outcome = self.execution.outcome
        assert isinstance(outcome, ExecutionCompleted), self.status
        assert outcome.status == Status.FAILED
        return FailureDetails.unpack(outcome.failure)


def started(function: Callable[..., Any], given: Any = None, **more: Any) -> LoneExecution:
    """A workflow that has had its first turn."""
    lone = LoneExecution(function, given, **more)
    lone.start()
    return lone


def app_of(function: Callable[..., Any], name: str | None = None) -> App:
    app = App("test")
    app.workflow(name=name)(function)
    return app


def completed(task_id: int, value: Any = None) -> TaskCompleted:
    return TaskCompleted(task_id, ENCODER.encode(value))


def failed(task_id: int, error_type: str = "ValueError", message: str = "no", **more: Any) -> TaskFailed:
    return TaskFailed(task_id, FailureDetails(error_type=error_type, message=message, **more).pack())


def raised(name: str, value: Any = None) -> EventRaised:
    return EventRaised(name, ENCODER.encode(value))

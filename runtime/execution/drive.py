"""An execution: one generation of an instance, as running workflow code.

The one law: events in, commands out, and nothing else. There is no clock here,
no I/O and no event loop; the user's coroutine or generator is driven by hand.
The same events at the same times give the same commands, which is what makes
replay possible.

The object lives on between turns. It is built anew, by feeding it the history,
only after an eviction or a crash.
"""

import inspect
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextvars import Context
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..authoring.app import WorkflowDefinition
from ..authoring.codec import Decoder, Encoder
from ..authoring.context import WorkflowContext
from ..authoring.retry import RetryPolicy, next_try_us
from ..authoring.task import Task
from ..dates import microseconds, to_us, within_time
from ..errors import TaskFailedError, WorkflowMisuse
from ..history.event import (
    Arrival,
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    Command,
    EventRaised,
    ExecutionCompleted,
    ExecutionStarted,
    PatchesApplied,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TimerOrigin,
)
from ..history.failure import FailureDetails, failure_of
from ..history.status import Status
from ..text import clean

logger = logging.getLogger(__name__)


class ContinuedAsNew(NamedTuple):
    """The outcome of a generation that begins again."""

    input: str | None
    carried: list[EventRaised]


Outcome = ExecutionCompleted | ContinuedAsNew


class _Call:
    """An activity or a child that was asked for, over all its tries."""

    __slots__ = ("ask", "attempt", "decoder", "first_id", "policy", "reference", "started_us", "task", "what")

    def __init__(
        self,
        *,
        task: Task[Any],
        what: str,
        decoder: Decoder,
        ask: Callable[["_Call"], None],
        policy: RetryPolicy | None,
        started_us: int,
    ) -> None:
        self.task = task
        self.what = what  # for messages: "Activity" or "Child workflow"
        self.decoder = decoder
        self.ask = ask  # emits the command of a try
        self.policy = policy
        self.started_us = started_us
        self.attempt = 0
        self.first_id = 0  # the event id of the first try
        self.reference = ""  # what the timers of later tries refer to


class _Wait:
    """A wait for an external event."""

    __slots__ = ("task", "timer_id")

    def __init__(self, task: Task[Any]) -> None:
        self.task = task
        self.timer_id: int | None = None


class Execution:
    """Drives one workflow function.

    Args:
        patches: Those that the history says were applied; empty for a new execution.
    """

    def __init__(
        self,
        definition: WorkflowDefinition,
        encoder: Encoder,
        *,
        instance_id: str,
        patches: Iterable[str] = (),
    ) -> None:
        self.definition = definition
        self.instance_id = instance_id
        self.execution_id = ""
        self.parent_id: str | None = None
        self.now_us = 0  # Unix time, microseconds: when the current turn began
        self.replaying = False
        self.stepping = False
        self.custom_status: str | None = None
        self.outcome: Outcome | None = None
        self.cancelled_timers: list[int] = []  # whose event came first; taken by who feeds

        self._encoder = encoder
        self._code: Coroutine[Any, Any, Any] | Generator[Any, Any, Any] | None = None
        self._generator = False
        # Of its own, so that what one workflow sets is not seen by the next.
        self._context_variables = Context()
        self._waiting: Task[Any] | None = None
        self._commands: list[Command] = []
        self._last_id = 0
        self._calls: dict[int, _Call] = {}
        self._timers: dict[int, Callable[[], None]] = {}
        # Raised and not waited for, by the number in which they came; and which numbers each name has.
        self._raised: dict[int, EventRaised] = {}
        self._raised_by_name: dict[str, deque[int]] = {}
        self._raised_count = 0
        self._waits: dict[str, deque[_Wait]] = {}
        self._known_patches = frozenset(patches)
        self._patches: dict[str, bool] = {}
        self._new_patches: list[str] = []
        self._continue: ContinuedAsNew | None = None
        self._keep_events = False

    @property
    def workflow_name(self) -> str:
        return self.definition.name

    def feed(self, events: Iterable[Arrival], now_us: int) -> tuple[list[Command], int]:
        """Take a turn.

        Args:
            events: What has arrived, oldest first.
            now_us: When; Unix time, microseconds.

        Returns:
            The commands, in the order in which the code gave them, and how
            many events were taken. Fewer than all only when the execution has
            ended; `outcome` then says how.
        """
        self.now_us = now_us
        self._commands = []
        taken = 0
        for event in events:
            if self.outcome is not None:
                break
            taken += 1
            handle = _HANDLERS.get(type(event))
            if handle is not None:
                handle(self, event)
        commands = self._commands
        if self._new_patches:
            commands.insert(0, PatchesApplied(tuple(self._new_patches)))
            self._new_patches = []
        return commands, taken

    def close(self) -> None:
        """Let go of the user's code. What it does on its way out counts for nothing, errors included."""
        code, self._code = self._code, None
        if code is not None:
            self.replaying = True  # its logger is silent
            try:
                self._context_variables.run(code.close)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                logger.debug("workflow %r raised while it was put away: %r", self.definition.name, error)
        # What is waited for knows its execution. Without this only the cyclic garbage collector would find
        # those that leave memory asleep, and there may be many.
        self._waiting = None
        for table in (self._calls, self._timers, self._waits):
            table.clear()

    # What the context asks for.

    def call_activity(self, activity: Callable[..., Any] | str, value: Any, policy: RetryPolicy | None) -> Task[Any]:
        self.expect_stepping()
        app = self.definition.app
        name = app.name_of(activity)
        payload = self._encoder.encode(value)

        def ask(call: _Call) -> None:
            event_id = self._track(call)
            if call.attempt == 1:
                call.reference = f"{self.execution_id}-{event_id}"
            self._commands.append(TaskScheduled(event_id, name, payload, call.reference))

        return self._call("Activity", app.output_of(activity), ask, policy)

    def call_child_workflow(
        self,
        workflow: Callable[..., Any] | str,
        value: Any,
        instance_id: str | None,
        policy: RetryPolicy | None,
    ) -> Task[Any]:
        self.expect_stepping()
        app = self.definition.app
        name = app.name_of(workflow)
        payload = self._encoder.encode(value)

        def ask(call: _Call) -> None:
            event_id = self._track(call)
            child_id = instance_id or f"{self.instance_id}:{event_id:04x}"
            retry_of = None if call.attempt == 1 else call.reference
            if call.attempt == 1:
                call.reference = child_id
            named = instance_id is not None
            self._commands.append(ChildCreated(event_id, child_id, name, payload, named, retry_of))

        return self._call("Child workflow", app.output_of(workflow), ask, policy)

    def create_timer(self, fire_at: datetime | timedelta) -> Task[None]:
        self.expect_stepping()
        task: Task[None] = Task(self)
        self._create_timer(self._due_us(fire_at), lambda: task.succeed(None))
        return task

    def wait_for_external_event(self, name: str, timeout: datetime | timedelta | None) -> Task[Any]:
        self.expect_stepping()
        key = name.casefold()
        task: Task[Any] = Task(self)
        raised = self._raised_by_name.get(key)
        if raised:
            self._resolve(task, _ANY, self._raised.pop(raised.popleft()).input)
            return task
        wait = _Wait(task)
        self._waits.setdefault(key, deque()).append(wait)
        if timeout is not None:
            wait.timer_id = self._create_timer(
                self._due_us(timeout),
                lambda: self._time_out(key, name, wait),
                origin=TimerOrigin.EXTERNAL_EVENT,
                reference=name,
            )
        return task

    def continue_as_new(self, value: Any, *, save_events: bool) -> None:
        self.expect_stepping()
        self._continue = ContinuedAsNew(self._encoder.encode(value), [])
        self._keep_events = save_events

    def set_custom_status(self, status: Any) -> None:
        self.expect_stepping()
        text = status if isinstance(status, str) else self._encoder.encode(status)
        self.custom_status = clean(text) if text is not None else None

    def is_patched(self, name: str) -> bool:
        self.expect_stepping()
        applied = self._patches.get(name)
        if applied is None:
            applied = name in self._known_patches or not self.replaying
            self._patches[name] = applied
            if applied:
                self._new_patches.append(name)
        return applied

    # What happens when an event arrives.

    def _on_started(self, event: ExecutionStarted) -> None:
        self.execution_id = event.execution_id
        self.parent_id = event.parent.instance_id if event.parent is not None else None
        definition = self.definition
        self.stepping = True
        try:
            arguments = definition.parameters.arguments(WorkflowContext(self), event.input)
            result = self._context_variables.run(definition.function, *arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._fail(error, frames_skipped=1)
            return
        finally:
            self.stepping = False
        self._generator = inspect.isgenerator(result)
        if self._generator or inspect.iscoroutine(result):
            self._code = result
            self._advance()
        else:
            # A plain function is over in its first turn.
            self._succeed(result)

    def _on_task_completed(self, event: TaskCompleted | ChildCompleted) -> None:
        call = self._calls.pop(event.task_id, None)
        if call is not None:
            self._resolve(call.task, call.decoder, event.result)
            self._advance()

    def _on_task_failed(self, event: TaskFailed | ChildFailed) -> None:
        call = self._calls.pop(event.task_id, None)
        if call is None:
            return
        failure = FailureDetails.unpack(event.failure) if event.failure is not None else _TERMINATED
        if not self._try_again(call, failure):
            message = f"{call.what} task #{event.task_id} failed: {failure.message}"
            call.task.fail(TaskFailedError(message, failure))
            self._advance()

    def _on_timer_fired(self, event: TimerFired) -> None:
        fire = self._timers.pop(event.timer_id, None)
        if fire is not None:
            fire()
            self._advance()

    def _on_event_raised(self, event: EventRaised) -> None:
        key = event.name.casefold()
        waits = self._waits.get(key)
        if not waits:
            self._raised_count += 1
            self._raised[self._raised_count] = event
            self._raised_by_name.setdefault(key, deque()).append(self._raised_count)
            return
        wait = waits.popleft()
        if wait.timer_id is not None:
            del self._timers[wait.timer_id]
            self.cancelled_timers.append(wait.timer_id)
        self._resolve(wait.task, _ANY, event.input)
        self._advance()

    # The user's code.

    def _advance(self) -> None:
        """Run the code until it waits for a task that is not complete, or ends."""
        if self._code is None or (self._waiting is not None and not self._waiting.is_complete):
            return
        answer, self._waiting = self._waiting, None
        self.stepping = True
        try:
            asked = self._run_code(answer)
        except StopIteration as done:
            ended, result, error = True, done.value, None
        except KeyboardInterrupt:
            raise
        except BaseException as failed:
            # SystemExit or a cancellation in workflow code ends the workflow, not the host.
            ended, result, error = True, None, failed
        else:
            ended, result, error = asked is None, None, None
            self._waiting = asked
        finally:
            self.stepping = False
        if error is not None:
            self._fail(error, frames_skipped=3)
        elif ended:
            self._succeed(result)

    def _run_code(self, answer: Task[Any] | None) -> Task[Any] | None:
        """Answer the code until it waits for something that is not there.

        Returns:
            The task it waits for; None if it has said that it begins again, so that nothing more is waited for.

        Raises:
            StopIteration: The code has returned.
            BaseException: Whatever the code raised.
        """
        misuse: WorkflowMisuse | None = None
        while True:
            asked = self._step(answer, misuse)
            if not isinstance(asked, Task) or not asked.owned_by(self):
                if misuse is not None:
                    # It caught the error and does the same again; a loop would have no end.
                    raise misuse
                answer, misuse = None, _misuse(asked)
            elif self._continue is not None:
                return None
            elif asked.is_complete:
                answer, misuse = asked, None
            else:
                return asked

    def _step(self, answer: Task[Any] | None, error: Exception | None) -> Any:
        code = self._code
        assert code is not None
        run = self._context_variables.run
        if error is not None:
            return run(code.throw, error)
        if not self._generator or answer is None:
            # An awaited task hands its own result over.
            return run(code.send, None)
        if answer.is_failed:
            return run(code.throw, answer.get_exception())
        return run(code.send, answer.get_result())

    def _succeed(self, value: Any) -> None:
        if self._continue is not None:
            self._end_generation()
            return
        try:
            result = self._encoder.encode(value)
        except Exception as error:
            self._fail(error, frames_skipped=0)
            return
        self._complete(Status.COMPLETED, result, None)

    def _fail(self, error: BaseException, *, frames_skipped: int) -> None:
        self._complete(Status.FAILED, None, failure_of(error, frames_skipped=frames_skipped))

    def _complete(self, status: Status, result: str | None, failure: FailureDetails | None) -> None:
        packed = failure.pack() if failure is not None else None
        self.outcome = ExecutionCompleted(self._next_id(), status.value, result, packed)
        self._commands.append(self.outcome)

    def _end_generation(self) -> None:
        assert self._continue is not None
        carried = list(self._raised.values()) if self._keep_events else []
        self.outcome = self._continue._replace(carried=carried)

    # Helpers.

    def _call(self, what: str, decoder: Decoder, ask: Callable[[_Call], None], policy: RetryPolicy | None) -> Task[Any]:
        task: Task[Any] = Task(self)
        ask(_Call(task=task, what=what, decoder=decoder, ask=ask, policy=policy, started_us=self.now_us))
        return task

    def _track(self, call: _Call) -> int:
        """Count a try and give it its event id."""
        call.attempt += 1
        event_id = self._next_id()
        self._calls[event_id] = call
        if call.attempt == 1:
            call.first_id = event_id
        return event_id

    def _try_again(self, call: _Call, failure: FailureDetails) -> bool:
        if call.policy is None:
            return False
        due_us = next_try_us(
            call.policy,
            failure,
            attempt=call.attempt,
            started_us=call.started_us,
            now_us=self.now_us,
            seed=f"{self.execution_id}:{call.first_id}",
        )
        if due_us is None:
            return False
        activity = call.what == "Activity"
        origin = TimerOrigin.ACTIVITY_RETRY if activity else TimerOrigin.CHILD_RETRY
        self._create_timer(due_us, lambda: call.ask(call), origin=origin, reference=call.reference)
        return True

    def _create_timer(
        self,
        due_us: int,
        fire: Callable[[], None],
        *,
        origin: int = TimerOrigin.CREATE_TIMER,
        reference: str | None = None,
    ) -> int:
        event_id = self._next_id()
        self._timers[event_id] = fire
        self._commands.append(TimerCreated(event_id, due_us, origin, reference))
        return event_id

    def _time_out(self, key: str, name: str, wait: _Wait) -> None:
        self._waits[key].remove(wait)
        wait.task.fail(TimeoutError(f"no event {name!r} came in time"))

    def _resolve(self, task: Task[Any], decoder: Decoder, payload: str | None) -> None:
        try:
            value = decoder.decode(payload)
        except Exception as error:
            task.fail(error)
        else:
            task.succeed(value)

    def _due_us(self, when: datetime | timedelta) -> int:
        return within_time(self.now_us + microseconds(when) if isinstance(when, timedelta) else to_us(when))

    def expect_stepping(self) -> None:
        if not self.stepping:
            raise WorkflowMisuse(
                "a workflow's context was used outside its workflow (in another task or thread, or while the workflow "
                "was being put away). Call it only from the workflow's own code."
            )

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id


def _misuse(asked: Any) -> WorkflowMisuse:
    return WorkflowMisuse(
        f"a workflow waited for {type(asked).__name__}, which replay cannot repeat. Await only what the context "
        "gives: ctx.call_activity, ctx.call_child_workflow, ctx.create_timer, ctx.wait_for_external_event, "
        "ctx.when_all and ctx.when_any. Sleep with ctx.create_timer; do I/O in an activity."
    )


_ANY = Decoder()
_TERMINATED = FailureDetails(error_type="TerminatedError", message="the child workflow was terminated")
_HANDLERS: dict[type[Any], Callable[[Execution, Any], None]] = {
    ExecutionStarted: Execution._on_started,
    TaskCompleted: Execution._on_task_completed,
    TaskFailed: Execution._on_task_failed,
    ChildCompleted: Execution._on_task_completed,
    ChildFailed: Execution._on_task_failed,
    TimerFired: Execution._on_timer_fired,
    EventRaised: Execution._on_event_raised,
}

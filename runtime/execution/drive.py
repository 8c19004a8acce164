"""An execution: one generation of an instance, as running workflow code.

The rule: events in, commands out, and nothing else. There is no clock here, no I/O and no event loop; the user's
coroutine or generator is driven by hand. The same events at the same times give the same commands, so an execution can
be replayed.

A workflow actor keeps it in memory from turn to turn and feeds it. After an eviction or a crash
`runtime/execution/replay.py` makes it again from the history.
"""

import inspect
from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence
from contextvars import Context
from typing import Any, NamedTuple

from ...actors.text import clean
from ...journal.line import NO_NOTES, Note
from ..authoring.app import WorkflowDefinition
from ..authoring.codec import Encoder
from ..authoring.context import WorkflowContext
from ..authoring.limits import USUAL_LIMITS, WorkflowLimits
from ..authoring.misuse import called_as_function, in_our_words, no_function, no_policy, no_task
from ..authoring.retry import RetryPolicy
from ..authoring.task import Task
from ..errors import LimitExceeded, WorkflowMisuse
from ..history.event import (
    Arrival,
    ChildCreated,
    Command,
    EventRaised,
    ExecutionCompleted,
    ExecutionStarted,
    PatchesApplied,
    TaskScheduled,
    task_scheduled,
)
from ..history.failure import FailureDetails, failure_of
from ..history.status import Status
from .call import Call
from .child_ids import child_id
from .demands import exceed, plain_name, weigh
from .direct_calls import NONE, Watch, called_by
from .interruption import CodeInterrupted
from .leaving import leave
from .pending import ANSWERS, Pending
from .unawaited import notes_of_unawaited


class ContinuedAsNew(NamedTuple):
    """The outcome of a generation that begins again."""

    input: str | None
    carried: list[EventRaised]


Outcome = ExecutionCompleted | ContinuedAsNew


class Execution:
    """Drives one workflow function. For its context it is the `Orders` of `runtime/authoring/context.py`.

    Args:
        definition: The workflow.
        encoder: Writes its inputs, its result and its custom status.
        instance_id: The instance that it runs for.
        generation: How often the instance has continued as new.
        patches: The patches that the history names as applied; none for a new execution.
        limits: On the requests of the code, except in replay.
        watch: Detects the call of an activity as a function; None: no detection.
    """

    def __init__(
        self,
        definition: WorkflowDefinition,
        encoder: Encoder,
        *,
        instance_id: str,
        generation: int = 0,
        patches: Iterable[str] = (),
        limits: WorkflowLimits = USUAL_LIMITS,
        watch: Watch | None = None,
    ) -> None:
        self.definition = definition
        self.instance_id = instance_id
        self.parent_id: str | None = None
        self.replaying = False
        self.stepping = False
        self.custom_status: str | None = None
        self.outcome: Outcome | None = None
        # Set from outside (runtime/activities/steps.py), in the middle of a step of the code.
        self.interrupted: CodeInterrupted | None = None

        self.limits = limits
        # The error with which the execution ends, even if the code catches it.
        self.exceeded: LimitExceeded | WorkflowMisuse | None = None
        self._watch = watch
        called = definition.app.direct_calls.get(definition.name) if watch is not None else NONE
        self._called = called if called is not None else called_by(definition)
        self.notes: tuple[Note, ...] = ()  # of the last turn, for the log; none in replay
        self.retries: dict[int, int] | None = None  # the number of each try of an activity after the first, by event id
        self._encoder = encoder
        self._generation = generation
        self._pending = Pending()
        # The timeouts of waits whose event came first. The caller of `feed` cancels them and empties the list.
        self.cancelled_timers = self._pending.cancelled_timers
        self.waits = self._pending.waits  # for external events; for the caller to read
        self._code: Coroutine[Any, Any, Any] | Generator[Any, Any, Any] | None = None
        self._generator = False
        # One for each execution, so that no workflow sees the variables of another.
        self._context_variables = Context()
        self._waiting: Task[Any] | None = None
        self._known_patches = frozenset(patches)
        self._patches: dict[str, bool] = {}
        self._new_patches: list[str] = []
        self._continue: ContinuedAsNew | None = None
        self._keep_events = False

    @property
    def workflow_name(self) -> str:
        return self.definition.name

    @property
    def execution_id(self) -> str:
        return self._pending.execution_id

    @property
    def now_us(self) -> int:
        """When the current turn began; Unix time, microseconds."""
        return self._pending.now_us

    def feed(self, events: Iterable[Arrival], now_us: int) -> tuple[list[Command], int]:
        """Take a turn.

        Args:
            events: The arrivals since the last turn, oldest first.
            now_us: When the turn begins; Unix time, microseconds.

        Returns:
            The commands, in the order in which the code gave them, and how
            many events were taken. Fewer than all only when the execution has
            ended; `outcome` then says how.

        Raises:
            CodeInterrupted: The code was interrupted. The execution is of no more use.
        """
        pending = self._pending
        pending.now_us = now_us
        pending.commands = []
        pending.waits_added = 0
        self.notes = NO_NOTES
        taken = 0
        for event in events:
            if self.outcome is not None:
                break
            taken += 1
            answer = ANSWERS.get(type(event))
            if answer is not None:
                try:
                    answered = answer(pending, event)
                except BaseException as error:
                    # The user's code may listen to a task.
                    self._fail(error, frames_skipped=1)
                    continue
                if answered:
                    self._advance()
            elif isinstance(event, ExecutionStarted):
                self._start(event)
        if self.interrupted is not None:
            # Even if the code has caught it: in a replay this turn would give other commands.
            raise self.interrupted
        if pending.notes:
            self.notes, pending.notes = (*self.notes, *pending.notes), ()
        commands = pending.commands
        if self._new_patches:
            commands.insert(0, PatchesApplied(tuple(self._new_patches)))
            self._new_patches = []
        return commands, taken

    def recall(self, commands: Sequence[Command] | None, *, timeouts: bool) -> None:
        """Take the recorded commands of the turn that is fed next.

        The decisions behind these commands apply, not the present policies and options: whether a failed call was tried
        again, and the id of a child.

        Args:
            commands: The recorded commands; None from the first turn on that is not in the history.
            timeouts: Whether waits have the recorded timeouts; otherwise they have the timeouts that the code gives
                now.
        """
        self._pending.recall(commands, timeouts=timeouts)

    @property
    def timeouts_differ(self) -> bool:
        """Whether the code has given a wait a timeout that the history lacks, or lacks one that the history has."""
        return self._pending.timeouts_differ

    def close(self) -> None:
        """Close the user's code. Its last commands and errors are ignored."""
        code, self._code = self._code, None
        if code is not None:
            self.replaying = True  # its logger is silent
            self._pending.commands = []
            self.stepping = True  # its requests are accepted, also when it is left and leaves memory
            self.stepping = not leave(self._context_variables.run, code, self.definition.name)
            code = None
        # Tasks know their execution. If it kept them too, only the cyclic garbage collector would find executions
        # that leave memory while they wait, and there may be many.
        self._waiting = None
        self._pending.clear()

    # The verbs of the context. Names become plain text that can be stored: the turn compares and packs them, outside of
    # the user's code, and a subclass of `str` has methods of its own. The command is Any here: a compiled build would
    # refuse another type before our own check does.

    def expect_stepping(self) -> None:
        """Raise WorkflowMisuse unless the workflow's code is being run."""
        if not self.stepping:
            raise WorkflowMisuse(
                "a workflow's context was used outside its workflow (in another task or thread, or after its turn). "
                "Call it only from the workflow's own code."
            )

    def expect_room(self) -> None:
        """Check that the workflow's own code runs right now, and that its turn may have more commands."""
        if not self.stepping:
            self.expect_stepping()
        elif len(self._pending.commands) + self._pending.waits_added >= self.limits.turn_commands_max:
            exceed(self, "a turn", "turn_commands_max", self.limits.turn_commands_max + 1)

    def call_activity(
        self, activity: Callable[..., Any] | str, value: Any, policy: Any, app_id: Any = None
    ) -> Task[Any]:
        self.expect_room()
        app = self.definition.app
        if not isinstance(activity, str) and not callable(activity):
            raise no_function("call_activity", "activity", activity)
        name, output = app.called(activity)
        if type(name) is not str or len(name) > self.limits.name_bytes_max or not name.isascii():
            name = plain_name(self, "the name of an activity", name)
        if policy is not None and not isinstance(policy, RetryPolicy):
            raise no_policy("call_activity", policy)
        payload = self._encoder.encode(value)
        if payload is not None and len(payload) > self.limits.light_chars:
            weigh(self, f"the input of activity {name!r}", payload)
        task: Task[Any] = Task(self)
        call = Call(task, "Activity", name, output, payload, self._ask_activity, policy, self._pending.now_us)
        if app_id is not None:
            call.target_app = plain_name(self, "the app ID of an activity", app_id)
        self._ask_activity(call)
        return task

    def _ask_activity(self, call: Call) -> None:
        """Emit the command of a try of an activity."""
        pending = self._pending
        event_id = pending.track(call)
        if call.attempt == 1:
            then = pending.recorded(event_id, TaskScheduled) if pending.replayed is not None else None
            call.reference = then.task_execution_id if then is not None else f"{pending.execution_id}-{event_id}"
        else:
            self.retries = (self.retries or {}) | {event_id: call.attempt}
        asked = task_scheduled((event_id, call.name, call.payload, call.reference, call.target_app, None, 0, None))
        pending.commands.append(asked)

    def call_child_workflow(
        self,
        workflow: Callable[..., Any] | str,
        value: Any,
        instance_id: Any,
        policy: Any,
        app_id: Any = None,
    ) -> Task[Any]:
        self.expect_room()
        app = self.definition.app
        if not isinstance(workflow, str) and not callable(workflow):
            raise no_function("call_child_workflow", "workflow", workflow)
        name, output = app.called(workflow)
        if type(name) is not str or len(name) > self.limits.name_bytes_max or not name.isascii():
            name = plain_name(self, "the name of a child workflow", name)
        if instance_id is not None:
            instance_id = plain_name(self, "the instance ID of a child workflow", instance_id)
        if policy is not None and not isinstance(policy, RetryPolicy):
            raise no_policy("call_child_workflow", policy)
        payload = self._encoder.encode(value)
        if payload is not None and len(payload) > self.limits.light_chars:
            weigh(self, f"the input of child workflow {name!r}", payload)
        task: Task[Any] = Task(self)
        call = Call(task, "Child workflow", name, output, payload, self._ask_child, policy, self._pending.now_us)
        call.chosen_id = instance_id
        if app_id is not None:
            call.target_app = plain_name(self, "the app ID of a child workflow", app_id)
        self._ask_child(call)
        return task

    def _ask_child(self, call: Call) -> None:
        """Emit the command of a try of a child."""
        event_id = self._pending.track(call)
        call.child_id = self._child_id(event_id, call.chosen_id)
        retry_of = None if call.attempt == 1 else call.reference
        if call.attempt == 1:
            call.reference = call.child_id
        asked = (event_id, call.child_id, call.name, call.payload, call.chosen_id is not None, retry_of)
        self._pending.commands.append(ChildCreated(*asked, call.target_app))

    def _child_id(self, event_id: int, chosen: str | None) -> str:
        """The id of a child. In replay, a child that the code did not name has its recorded id."""
        then = self._pending.recorded(event_id, ChildCreated)
        if then is not None and (not then.named or then.rerun_of is not None):
            return then.instance_id
        return chosen or child_id(self.instance_id, event_id, self.execution_id if self._generation else None)

    def create_timer(self, fire_at: Any) -> Task[None]:
        self.expect_room()
        task: Task[None] = Task(self)
        pending = self._pending
        pending.create_timer(pending.due_us(fire_at, "create_timer"), lambda: task.succeed(None))
        return task

    def wait_for_external_event(self, name: Any, timeout: Any) -> Task[Any]:
        self.expect_room()
        if type(name) is not str or len(name) > self.limits.name_bytes_max or not name.isascii():
            name = plain_name(self, "the name of an event", name)
        if not name and not self.replaying:  # a recorded wait may end by its timeout
            raise WorkflowMisuse("the name of an event is empty: no event has such a name, and the wait would not end")
        task: Task[Any] = Task(self)
        self._pending.wait_for(name, task, timeout)
        return task

    def continue_as_new(self, value: Any, *, save_events: Any) -> None:
        self.expect_stepping()
        payload = self._encoder.encode(value)
        if payload is not None and len(payload) > self.limits.light_chars:
            weigh(self, "the input of the next generation", payload)
        self._continue = ContinuedAsNew(payload, [])
        self._keep_events = bool(save_events)

    def set_custom_status(self, status: Any) -> None:
        self.expect_stepping()
        text = status if isinstance(status, str) else self._encoder.encode(status)
        if text is not None and len(text) > self.limits.light_chars:
            weigh(self, "the custom status", text)
        # A plain `str` from here on: the turn compares it, outside of the user's code.
        self.custom_status = clean(text) if text is not None else None

    def is_patched(self, name: Any) -> bool:
        self.expect_stepping()
        name = plain_name(self, "the name of a patch", name)
        applied = self._patches.get(name)
        if applied is None:
            applied = name in self._known_patches or not self.replaying
            if applied and len(self._new_patches) >= self.limits.turn_commands_max:
                exceed(self, "a turn", "turn_commands_max", self.limits.turn_commands_max + 1)
            self._patches[name] = applied
            if applied:
                self._new_patches.append(name)
        return applied

    # The user's code.

    def _start(self, event: ExecutionStarted) -> None:
        """Call the workflow's function, and run it until it waits or ends."""
        self._pending.execution_id = event.execution_id
        self.parent_id = event.parent.instance_id if event.parent is not None else None
        definition = self.definition
        self.stepping = True
        try:
            arguments = definition.parameters.arguments(WorkflowContext(self), event.input)
            run = self._runner() if self._called else self._context_variables.run
            result = run(definition.function, *arguments)
            self._generator = inspect.isgenerator(result)
            has_steps = self._generator or inspect.iscoroutine(result)
        except BaseException as error:
            # An error of any kind is the user's code's own: the daemon's signals are never raised in it.
            self._fail(error, frames_skipped=1)
            return
        finally:
            self.stepping = False
        if has_steps:
            self._code = result
            self._advance()
        else:
            # A plain function is over in its first turn.
            self._succeed(result)

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
        except BaseException as failed:
            # KeyboardInterrupt, SystemExit or a cancellation in workflow code ends the workflow, not the host.
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
        """Answer the code until it waits for a task that is not complete.

        Args:
            answer: The complete task that it waits for; None at its first step.

        Returns:
            The task that it waits for; None if it has called continue_as_new, because it then waits for nothing more.

        Raises:
            StopIteration: The code has returned.
            BaseException: The error that the code has raised.
        """
        misuse: WorkflowMisuse | None = None
        while True:
            asked = self._step(answer, misuse)
            if self.exceeded is not None:
                raise self.exceeded
            if not isinstance(asked, Task) or not asked.owned_by(self):
                if misuse is not None:
                    # It caught the error and does the same again; a loop would have no end.
                    raise misuse
                answer, misuse = None, no_task(asked)
            elif self._continue is not None:
                return None
            elif asked.is_complete:
                answer, misuse = asked, None
            else:
                asked.awaited = True
                return asked

    def _step(self, answer: Task[Any] | None, error: Exception | None) -> Any:
        code = self._code
        assert code is not None
        run = self._runner() if self._called else self._context_variables.run
        if error is not None:
            return run(code.throw, error)
        if not self._generator or answer is None:
            # An awaited task hands its own result over.
            return run(code.send, None)
        if answer.is_failed:
            return run(code.throw, answer.get_exception())
        return run(code.send, answer.get_result())

    def _runner(self) -> Callable[..., Any]:
        """The function that calls the user's code: in its own context, and watching for direct calls."""
        run, watch = self._context_variables.run, self._watch
        return run if self.replaying or watch is None else watch(run, self._called, self._refuse)

    def _refuse(self, name: str) -> WorkflowMisuse:
        self.exceeded = called_as_function(name)
        return self.exceeded

    def _succeed(self, value: Any) -> None:
        if self.exceeded is not None:
            self._fail(self.exceeded, frames_skipped=0)
            return
        if self._continue is not None:
            self._end_generation()
            return
        try:
            result = self._encoder.encode(value)
            if result is not None and len(result) > self.limits.light_chars:
                weigh(self, "the result", result)
        except BaseException as error:
            self._fail(error, frames_skipped=0)
            return
        if (self._pending.calls or self._pending.unheard) and not self.replaying:
            self.notes = (*self.notes, *notes_of_unawaited(self._pending))
        self._complete(Status.COMPLETED, result, None)

    def _fail(self, error: BaseException, *, frames_skipped: int) -> None:
        if self.exceeded is not None:
            # The code may have caught it and raised something else. Nothing of this turn is done.
            error = self.exceeded
            self._pending.commands.clear()
            self._new_patches.clear()
        else:
            error = in_our_words(error)
        self._complete(Status.FAILED, None, failure_of(error, frames_skipped=frames_skipped))

    def _complete(self, status: Status, result: str | None, failure: FailureDetails | None) -> None:
        packed = failure.pack() if failure is not None else None
        self.outcome = ExecutionCompleted(self._pending.next_id(), status.value, result, packed)
        self._pending.commands.append(self.outcome)

    def _end_generation(self) -> None:
        assert self._continue is not None
        if (self._pending.calls or self._pending.unheard) and not self.replaying:
            self.notes = (*self.notes, *notes_of_unawaited(self._pending))
        carried = self._pending.unasked() if self._keep_events else []
        self.outcome = self._continue._replace(carried=carried)

"""One turn of a workflow actor: messages in; events, messages, reminders and replies out.

The one law: a turn reads no clock and waits for nothing. Whatever it wants
done stands in the `Turn` it makes, and happens after the commit.

The turn goes through its stages: every message is received (`_receive`), the
execution is fed with what may be fed (`_run`), all of it is written down
(`_finish`), and if the code is with a remote worker, that is given the next
turn (`_offer`).
"""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid5

from ...actors.address import Address
from ...actors.turn import Envelope, Recover, ReminderDue, Turn
from ..dates import END_OF_TIME_US
from ..errors import (
    DescendantsUnknown,
    InstanceExists,
    InstanceNotFound,
    InstanceStalled,
    InstanceUnfinished,
    NondeterminismError,
    RequestRefused,
)
from ..execution.drive import ContinuedAsNew, Execution
from ..execution.replay import replay
from ..history.event import (
    Arrival,
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    Command,
    DetachedCreated,
    Event,
    EventRaised,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    Parent,
    PatchesApplied,
    StallReason,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    failure_in,
)
from ..history.failure import FailureDetails, failure_of
from ..history.open_work import START_TIMER, OpenWork
from ..history.patches import patches_of
from ..history.record import InstanceRecord
from ..history.row import Row
from ..history.status import Status, Step, follow
from ..history.timed_event import TimedEvent
from ..history.timeline import Timeline
from .message import (
    ACTIVITY,
    CHILD_START,
    ENDED,
    WORK,
    ActivityDone,
    ChildDone,
    ChildStarted,
    Continue,
    Ended,
    Invoke,
    Purge,
    RaiseEvent,
    RemoteAnswer,
    Resume,
    Stalled,
    Start,
    StartCopy,
    Suspend,
    Terminate,
    TryAgain,
    WorkflowTurnWork,
    workflow_address,
)
from .offer import Offer, can_take_a_turn, received
from .state import Instance
from .work import WorkflowAnswer

_GENERATIONS = UUID("0d9b3c55-63b0-5f0a-9d0b-3f3e6a0f1c92")  # of the execution ids that follow one another

# What is for the instance whatever generation it is in. Answers are for the generation that asked.
_OUTLIVE_A_GENERATION = (EventRaised, ExecutionSuspended, ExecutionResumed)
_STEPS = {Status.COMPLETED: Step.COMPLETE, Status.FAILED: Step.FAIL, Status.TERMINATED: Step.TERMINATE}


class WorkflowTurn:
    """Works on one actor, once."""

    __slots__ = (
        "_answered",
        "_arrived",
        "_asked",
        "_consumed",
        "_holding",
        "_record_before",
        "_termination",
        "_timers_set",
        "_turn_at_us",
        "actor",
        "now_us",
        "turn",
    )

    def __init__(self, actor: Instance, now_us: int) -> None:
        self.actor = actor
        # Never before the last turn, even if the clock was set back while nobody was looking.
        self.now_us = max(now_us, actor.last_us)
        self.turn = Turn()
        self._record_before = actor.record
        self._arrived: list[Arrival] = []  # to be fed
        self._holding: list[Arrival] = []  # to be kept until it can be fed
        self._asked: list[Event] | None = None  # None: the execution was not fed
        self._termination: Terminate | None = None
        self._timers_set: dict[int, int] = {}  # timer id to when it fires
        self._answered: RemoteAnswer | None = None
        self._turn_at_us: int | None = None  # when the turn began for a remote worker, if it did
        self._consumed: int | None = None  # of what was held, how much this turn feeds; None: all

    def take(self, envelopes: Sequence[Envelope]) -> Turn:
        for envelope in envelopes:
            _RECEIVERS[type(envelope.body)](self, envelope)
        self._run()
        self._finish()
        if self.actor.execution is None:  # the code is not here
            self._propagate()
            self._offer()
        return self.turn

    # Receiving: what each message means for the instance as it stands.

    def _receive_start(self, envelope: Envelope) -> None:
        start: Start = envelope.body
        record = self.actor.record
        if record is None:
            self._create(start)
        elif start.parent is not None and start.parent == record.parent:
            # The parent sends again what it does not know to have arrived.
            self._tell_parent_again()
        elif not record.status.terminal:
            self._refuse_start(envelope, InstanceExists(self.actor.instance_id))
            return
        elif start.unique:
            self._refuse_start(envelope, InstanceExists(self.actor.instance_id, unique=True))
            return
        elif record.has_children and envelope.reply is not None and start.descendants_finished != record.execution_id:
            self._refuse_start(envelope, DescendantsUnknown(self.actor.instance_id, record.execution_id))
            return
        else:
            self.actor.forget()
            self.turn.reset = True
            self._create(start)
        self._answer(envelope, self.actor.instance_id)

    def _create(self, start: Start) -> None:
        actor = self.actor
        later = start.start_at_us if start.start_at_us is not None and start.start_at_us > self.now_us else None
        actor.record = InstanceRecord(
            follow(None, Step.START), start.name, start.execution_id, self.now_us, parent=start.parent
        )
        # Purged and begun anew in one turn: what was there is replaced, not deleted.
        self.turn.reset = self.turn.reset or self.turn.delete
        self.turn.delete = False
        self._arrive(
            ExecutionStarted(
                start.name,
                start.input,
                start.execution_id,
                start.parent,
                later,
                start.version,
                start.trace,
                start.propagated,
            )
        )
        if later is not None:
            self._timers_set[START_TIMER] = later

    def _receive_copy(self, envelope: Envelope) -> None:
        """Begin with somebody else's history, and do what it asks for and has no answer to."""
        copy: StartCopy = envelope.body
        actor = self.actor
        if actor.record is not None:
            self._answer(envelope, InstanceExists(actor.instance_id, unique=True))
            return
        record = copy.record
        actor.record = InstanceRecord(
            Status.RUNNING,
            record.name,
            record.execution_id,
            self.now_us,
            has_children=record.has_children,
            remote=record.remote,
            version=record.version,
        )
        actor.rows = list(copy.rows)
        actor.work = OpenWork.of(actor.rows, remote=record.remote)
        actor.patches = patches_of(actor.rows)
        for task in actor.work.tasks.values():
            self._invoke(task)
        for child in actor.work.children.values():
            self._create_child(child)
        self._timers_set.update(
            {timer_id: due_us for timer_id, due_us in actor.work.timers.items() if due_us < END_OF_TIME_US}
        )
        packed = [actor.surroundings.packer.pack(*row) for row in actor.rows]
        self.turn.earlier, self.turn.entry = packed[:-1], packed[-1]
        if record.remote:
            actor.timeline = Timeline.of(actor.rows)
        self._answer(envelope, None)

    def _refuse_start(self, envelope: Envelope, error: RequestRefused) -> None:
        start: Start = envelope.body
        if envelope.reply is not None:
            self._answer(envelope, error)
        elif start.parent is not None:
            self._tell_parent(start.parent, Status.FAILED, None, failure_of(error))

    def _receive_event(self, envelope: Envelope) -> None:
        if self._takes(envelope):
            self._arrive(EventRaised(envelope.body.name, envelope.body.input))

    def _receive_suspend(self, envelope: Envelope) -> None:
        if self._takes(envelope) and self._status is not Status.SUSPENDED:
            self._step(Step.SUSPEND)
            self._hold(ExecutionSuspended(envelope.body.reason))

    def _receive_resume(self, envelope: Envelope) -> None:
        if self._takes(envelope) and self._status is Status.SUSPENDED:
            self._step(Step.RESUME if self._has_run else Step.RESUME_START)
            self._hold(ExecutionResumed(envelope.body.reason))
            if not self._waits_for_start:
                self._arrived.extend(self._holding)
                self._holding.clear()

    def _receive_terminate(self, envelope: Envelope) -> None:
        termination: Terminate = envelope.body
        record = self.actor.record
        if termination.parent is not None and (record is None or record.parent != termination.parent):
            # The id belongs to somebody else, or to nobody yet (see `_receive_child_started`).
            return
        if self._takes(envelope):
            self._termination = termination

    def _receive_purge(self, envelope: Envelope) -> None:
        record = self.actor.record
        if record is None:
            self._answer(envelope, InstanceNotFound(self.actor.instance_id))
        elif record.status is Status.STALLED and not envelope.body.force:
            self._answer(envelope, InstanceStalled(self.actor.instance_id))
        elif not record.status.terminal and not envelope.body.force:
            self._answer(envelope, InstanceUnfinished(self.actor.instance_id))
        else:
            self._clear_timers()
            self.actor.forget()
            self._arrived.clear()
            self._holding.clear()
            self._termination = None
            self.turn.delete = True
            self._answer(envelope, None)

    def _receive_activity_done(self, envelope: Envelope) -> None:
        done: ActivityDone = envelope.body
        record = self.actor.record
        if record is not None and record.status.terminal and record.execution_id == done.execution_id:
            # Asked for in the last turn and not awaited: there is nobody to tell.
            self.actor.work.tasks.pop(done.task_id, None)
        elif self._awaits(done.execution_id) and done.task_id in self.actor.work.tasks:
            if done.failure is not None:
                self._arrive(TaskFailed(done.task_id, done.failure.pack()))
            else:
                self._arrive(TaskCompleted(done.task_id, done.result))

    def _receive_child_done(self, envelope: Envelope) -> None:
        done: ChildDone = envelope.body
        if self._awaits(done.execution_id) and done.task_id in self.actor.work.children:
            self.actor.unconfirmed.discard(done.task_id)
            if done.status == Status.COMPLETED:
                self._arrive(ChildCompleted(done.task_id, done.result))
            else:
                self._arrive(ChildFailed(done.task_id, done.failure.pack() if done.failure is not None else None))

    def _receive_child_started(self, envelope: Envelope) -> None:
        started: ChildStarted = envelope.body
        record = self.actor.record
        if record is None or record.execution_id != started.execution_id:
            return
        self.actor.unconfirmed.discard(started.task_id)
        child = self.actor.work.children.get(started.task_id)
        if child is not None and self._was_terminated_with_children():
            # It came into being after its siblings were told.
            self._terminate_child(child)

    def _receive_reminder(self, envelope: Envelope) -> None:
        reminder: ReminderDue = envelope.body
        self.turn.reminders_cleared.append((reminder.name, reminder.due_us))
        record = self.actor.record
        if record is None or record.status.terminal:
            return
        timer_id = int(reminder.name)
        # A timer of an earlier generation, or one whose event came first, is not there any more.
        if self.actor.work.timers.get(timer_id) == reminder.due_us:
            self._arrive(TimerFired(timer_id, reminder.due_us))

    def _receive_continue(self, envelope: Envelope) -> None:
        """What is held is fed in `_run`."""

    def _receive_answer(self, envelope: Envelope) -> None:
        """A remote worker has taken its turn. An answer to another state of the instance is void: it is asked again."""
        work: WorkflowTurnWork = envelope.body.work
        actor = self.actor
        same_past = self._awaits(work.execution_id) and work.position == self._position
        if same_past and actor.held[: len(work.fed)] == work.fed:
            self._answered = envelope.body
        actor.offered = None

    def _receive_try_again(self, envelope: Envelope) -> None:
        if self.actor.record is not None and self._status is Status.STALLED:
            self.actor.stalled_here = False
            self.actor.offered = None

    def _receive_recover(self, envelope: Envelope) -> None:
        """Send again whatever may not have arrived before the restart."""
        record = self.actor.record
        if record is None:
            return
        if record.status.terminal:
            self._tell_parent_again()
        if self._was_terminated_with_children():
            self._terminate_children()
        if record.status is not Status.TERMINATED:
            for task in self.actor.work.tasks.values():
                self._invoke(task)
            for child in self.actor.work.children.values():
                # Those of a finished instance are not waited for. One whose id somebody else has by now had its time.
                self._start_child(child, unique=record.status.terminal)

    # What receiving needs.

    @property
    def _status(self) -> Status:
        assert self.actor.record is not None
        return self.actor.record.status

    @property
    def _waits_for_start(self) -> bool:
        return START_TIMER in self.actor.work.timers

    @property
    def _has_run(self) -> bool:
        """Whether the code of this generation has had a turn."""
        actor = self.actor
        if actor.timeline is not None:
            return bool(actor.timeline.events)
        return actor.execution is not None or any(row.turn is not None for row in actor.rows)

    @property
    def _generation(self) -> int:
        assert self.actor.record is not None
        return self.actor.record.generation

    def _takes(self, envelope: Envelope) -> bool:
        """Whether the instance takes a request; if not, the caller is told why, or that all is well."""
        record = self.actor.record
        if record is None:
            self._answer(envelope, InstanceNotFound(self.actor.instance_id))
        elif record.status is Status.STALLED:
            self._answer(envelope, InstanceStalled(self.actor.instance_id))
        else:
            self._answer(envelope, None)
            return not record.status.terminal
        return False

    def _awaits(self, execution_id: str) -> bool:
        """Whether an answer is for the generation that is running now."""
        record = self.actor.record
        return record is not None and not record.status.terminal and record.execution_id == execution_id

    def _arrive(self, event: Arrival) -> None:
        """An event came: it is fed in this turn, unless the instance is suspended."""
        self.actor.work.note(event)
        (self._holding if self._status is Status.SUSPENDED else self._arrived).append(event)

    def _hold(self, event: Arrival) -> None:
        self._holding.append(event)

    def _answer(self, envelope: Envelope, answer: Any) -> None:
        if envelope.reply is not None:
            self.turn.replies.append((envelope.reply, answer))

    def _step(self, step: Step) -> None:
        record = self.actor.record
        assert record is not None
        status = follow(record.status, step)
        if status is not record.status:
            self.actor.record = record._replace(status=status)

    # Running: the execution is fed with what may be fed.

    def _run(self) -> None:
        record = self.actor.record
        if record is None or record.status.terminal:
            return
        if self._termination is not None:
            self._terminate(self._termination)
        elif self._is_remote(record):
            self._run_remotely()
        elif self._arrived or (self.actor.held and record.status is not Status.SUSPENDED):
            self._feed_if_possible()
        elif record.status is Status.STALLED:
            self._execution()

    @property
    def _position(self) -> int:
        """How much history a remote worker knows of this generation."""
        return len(self.actor.timeline.events) if self.actor.timeline is not None else 0

    def _is_remote(self, record: InstanceRecord) -> bool:
        """Whether the code of the instance is with a remote worker."""
        if record.remote:
            return True
        surroundings = self.actor.surroundings
        if surroundings.definition(record.name) is not None or self._has_run or record.generation > 0:
            return False
        return surroundings.app is None or surroundings.waits_for_workers()

    def _run_remotely(self) -> None:
        """Take a worker's answer. What has arrived is held: it is fed with the next turn that a worker takes."""
        self._hold_all()
        if self.actor.timeline is None:
            self.actor.timeline = Timeline.of(self.actor.rows)
        if self._answered is not None:
            self._take_answer(self._answered.work, self._answered.answer)

    def _offer(self) -> None:
        """Offer a turn to workers, at once; or tell them not to wait for more to come along with the one that is."""
        actor = self.actor
        offer = actor.offered
        if offer is None and can_take_a_turn(actor) and actor.record is not None and self._is_remote(actor.record):
            if actor.timeline is None:
                actor.timeline = Timeline.of(actor.rows)
            offer = actor.offered = Offer(actor)
        elif offer is None or not offer.hurry():
            return
        self.turn.early.append((Address(WORK, actor.instance_id), offer))

    def _take_answer(self, work: WorkflowTurnWork, answer: WorkflowAnswer) -> None:
        """Apply what a worker asks for (contract 3.7), unless its code no longer fits."""
        actor = self.actor
        assert actor.record is not None
        stall = _unfit(actor.patches, actor.record.version, answer)
        if stall is not None:
            reason = StallReason.VERSION_NOT_AVAILABLE if answer.version_missing else StallReason.PATCH_MISMATCH
            self._stall(stall, reason)
            return
        if self._status is not Status.SUSPENDED:
            self._step(Step.RUN)
        settled = answer.version if answer.version != actor.record.version else None
        version = answer.version or actor.record.version
        actor.record = actor.record._replace(
            remote=True, stall=None, custom_status=answer.custom_status, version=version
        )
        actor.ran_us = self.now_us
        self._consumed = len(work.fed)
        self._turn_at_us = work.at_us
        self._asked = list(answer.commands)
        applied = answer.patches[len(actor.patches) :]
        actor.patches = answer.patches
        if applied or settled is not None:
            self._asked.insert(0, PatchesApplied(applied, settled))
        for timer_id in actor.work.waits_ended_by(work.fed):
            self._clear_timer(timer_id)
        self._carry_out(answer.commands)
        if answer.continued is not None:
            unfed = actor.held[len(work.fed) :]
            self._continue_as_new(answer.continued, [*unfed, *self._holding])
            self._consumed = None
            return
        completed = next((each for each in answer.commands if isinstance(each, ExecutionCompleted)), None)
        if completed is not None:
            self._step(_STEPS[Status(completed.status)])
            self._end(Status(completed.status), completed.result, failure_in(completed))

    def _feed_if_possible(self) -> None:
        execution = None if self._waits_for_start else self._execution()
        if execution is not None:
            self._feed(execution)
        elif not self._status.terminal:
            self._holding[:0] = self._arrived
            self._arrived.clear()

    def _execution(self) -> Execution | None:
        """The running code, built from the history if need be; None if it cannot be."""
        actor = self.actor
        assert actor.record is not None
        if actor.execution is not None or actor.stalled_here:
            return actor.execution
        surroundings = actor.surroundings
        definition = surroundings.definition(actor.record.name)
        if definition is None:
            self._miss_definition(actor.record.name)
            return None
        try:
            actor.execution, _ = replay(
                definition, surroundings.encoder, instance_id=actor.instance_id, rows=actor.rows
            )
        except NondeterminismError as error:
            self._stall(str(error))
            return None
        actor.rows = []
        if self._status is not Status.SUSPENDED:
            self._step(Step.RUN)
            if actor.record.stall is not None:
                actor.record = actor.record._replace(stall=None)
        return actor.execution

    def _miss_definition(self, name: str) -> None:
        """The code is not here: wait for it, or fail at once, or stop where it had begun."""
        app = self.actor.surroundings.app
        if app is None:
            return
        message = f"A {name!r} workflow was not registered in app {app.name!r}."
        if self._has_run or self._generation > 0:
            self._stall(message + " This instance was begun by code that had it.")
            return
        failure = FailureDetails(error_type="WorkflowNotRegisteredError", message=message, non_retriable=True)
        self._asked = [ExecutionCompleted(1, Status.FAILED.value, None, failure.pack())]
        self._step(Step.FAIL)
        self._end(Status.FAILED, None, failure)

    def _stall(self, description: str, reason: int = StallReason.PATCH_MISMATCH) -> None:
        actor = self.actor
        assert actor.record is not None
        actor.stalled_here = True
        if self._status is Status.SUSPENDED:
            return  # it says so when it is resumed
        self._step(Step.STALL)
        if actor.record.stall != description:
            actor.record = actor.record._replace(stall=description)
            self._hold(ExecutionStalled(description, reason))
        if actor.record.remote:
            self.turn.messages.append((Address(WORK, actor.instance_id), Stalled()))

    def _feed(self, execution: Execution) -> None:
        actor = self.actor
        assert actor.record is not None
        arrivals = [*actor.held, *self._arrived]
        commands, taken = execution.feed(arrivals, self.now_us)
        self._asked = list(commands)
        if execution.custom_status != actor.record.custom_status:
            actor.record = actor.record._replace(custom_status=execution.custom_status)
        self._carry_out(commands)
        self._take_back_timers(execution)
        outcome = execution.outcome
        if isinstance(outcome, ContinuedAsNew):
            self._continue_as_new(outcome, arrivals[taken:])
        elif outcome is not None:
            status = Status(outcome.status)
            self._step(_STEPS[status])
            failure = FailureDetails.unpack(outcome.failure) if outcome.failure is not None else None
            self._end(status, outcome.result, failure)

    def _carry_out(self, commands: Sequence[Command]) -> None:
        for command in commands:
            self.actor.work.note(command)
            effect = _EFFECTS.get(type(command))
            if effect is not None:
                effect(self, command)

    def _terminate(self, termination: Terminate) -> None:
        """End the instance without asking its code."""
        self._hold_all()
        event = ExecutionTerminated(termination.output, termination.recurse)
        completed = ExecutionCompleted(self.actor.work.last_id + 1, Status.TERMINATED.value, termination.output)
        self._asked = [event, completed]
        self._step(Step.TERMINATE)
        if termination.recurse:
            self._terminate_children()
        self._end(Status.TERMINATED, termination.output, None)

    def _hold_all(self) -> None:
        self._holding[:0] = self._arrived
        self._arrived.clear()

    def _end(self, status: Status, result: str | None, failure: FailureDetails | None) -> None:
        """What the end of an instance entails, however it came."""
        actor = self.actor
        assert actor.record is not None
        self._clear_timers()
        # What was asked for in the last turn is done; what ran before it has lost its purpose.
        actor.work.keep_only([Row(self.now_us, self._asked, ())])
        if actor.record.parent is not None:
            self._tell_parent(actor.record.parent, status, result, failure)
        if actor.surroundings.observed:
            ended = Ended(actor.record.name, status.value, self.now_us - actor.record.created_us)
            self.turn.messages.append((Address(ENDED, actor.instance_id), ended))
        actor.close()
        actor.execution = None
        actor.rows = []

    def _continue_as_new(self, outcome: ContinuedAsNew, unfed: Sequence[Arrival]) -> None:
        """Put the next generation in the place of this one. It takes its first turn after the commit."""
        actor = self.actor
        record = actor.record
        assert record is not None
        self._clear_timers()
        actor.close()
        execution_id = uuid5(_GENERATIONS, record.execution_id).hex
        started = ExecutionStarted(record.name, outcome.input, execution_id, record.parent)
        kept = [event for event in unfed if isinstance(event, EventRaised)]
        actor.record = record._replace(
            execution_id=execution_id, created_us=self.now_us, generation=record.generation + 1
        )
        actor.work = OpenWork()
        actor.execution = None
        actor.rows = []
        actor.held = []
        actor.timeline = None
        actor.patches = ()
        actor.offered = None
        actor.unconfirmed = set()
        self.turn.reset = True
        self._asked = None
        self._arrived.clear()
        holding = [event for event in self._holding if isinstance(event, _OUTLIVE_A_GENERATION)]
        self._holding = [started, *outcome.carried, *kept, *holding]
        self.turn.messages.append((workflow_address(actor.instance_id), Continue()))

    def _propagate(self) -> None:
        """Show those that may see it the history up to the event that asked for them (contract 3.21)."""
        timeline = self.actor.timeline
        if timeline is None:
            return
        for position, (address, body) in enumerate(self.turn.messages):
            if isinstance(body, Invoke | Start) and body.scope:
                asking = body.task_id if isinstance(body, Invoke) else body.parent.task_id if body.parent else None
                shown = self.actor.surroundings.propagate(
                    self.actor.instance_id,
                    _up_to(timeline.events, asking),
                    body.scope,
                    received(timeline.events),
                )
                self.turn.messages[position] = (address, body._replace(propagated=shown))

    # What commands do.

    def _invoke(self, task: TaskScheduled) -> None:
        actor = self.actor
        assert actor.record is not None
        execution_id = actor.record.execution_id
        if task.target_app not in (None, "", actor.surroundings.app_id):
            done = ActivityDone(execution_id, task.event_id, None, _foreign(task.target_app, actor.surroundings.app_id))
            self.turn.messages.append((workflow_address(actor.instance_id), done))
            return
        invoke = Invoke(
            task.name,
            task.input,
            actor.instance_id,
            execution_id,
            task.event_id,
            task.task_execution_id,
            task.wire,
            task.propagation,
        )
        self.turn.messages.append((Address(ACTIVITY, f"{execution_id}:{task.event_id}"), invoke))

    def _set_timer(self, timer: TimerCreated) -> None:
        # A wait without an end (contract 3.10) has a timer that is recorded and never fires.
        if timer.fire_at_us < END_OF_TIME_US:
            self._timers_set[timer.event_id] = timer.fire_at_us

    def _create_child(self, child: ChildCreated) -> None:
        assert self.actor.record is not None
        self.actor.record = self.actor.record._replace(has_children=True)
        if child.named:
            self.actor.unconfirmed.add(child.event_id)
        self._start_child(child)

    def _create_detached(self, child: DetachedCreated) -> None:
        """Ask for an instance without a parent. If its id is taken, nobody hears of it (contract 3.7)."""
        assert self.actor.record is not None
        execution_id = (
            child.execution_id or uuid5(_GENERATIONS, f"{self.actor.record.execution_id}/{child.event_id}").hex
        )
        start = Start(child.name, child.input, execution_id, start_at_us=child.start_at_us)
        self.turn.messages.append((workflow_address(child.instance_id), start))

    def _start_child(self, child: ChildCreated, *, unique: bool = False) -> None:
        """Ask for a child.

        An id that the code chose may be held by another, which takes more than a message to find out.
        """
        record = self.actor.record
        assert record is not None
        app_id = self.actor.surroundings.app_id
        if child.target_app not in (None, "", app_id):
            failure = _foreign(child.target_app, app_id)
            done = ChildDone(record.execution_id, child.event_id, Status.FAILED.value, None, failure)
            self.turn.messages.append((workflow_address(self.actor.instance_id), done))
            return
        execution_id = uuid5(_GENERATIONS, f"{record.execution_id}/{child.event_id}").hex
        start = Start(child.name, child.input, execution_id, self._link(child), unique=unique, scope=child.propagation)
        address = Address(CHILD_START, child.instance_id) if child.named else workflow_address(child.instance_id)
        self.turn.messages.append((address, start))

    def _terminate_children(self) -> None:
        for child in self.actor.work.children.values():
            self._terminate_child(child)

    def _terminate_child(self, child: ChildCreated) -> None:
        termination = Terminate(None, recurse=True, parent=self._link(child))
        self.turn.messages.append((workflow_address(child.instance_id), termination))

    def _link(self, child: ChildCreated) -> Parent:
        record = self.actor.record
        assert record is not None
        return Parent(self.actor.instance_id, record.execution_id, child.event_id, record.name)

    def _tell_parent(self, parent: Parent, status: Status, result: str | None, failure: FailureDetails | None) -> None:
        done = ChildDone(parent.execution_id, parent.task_id, status.value, result, failure)
        self.turn.messages.append((workflow_address(parent.instance_id), done))

    def _tell_parent_again(self) -> None:
        """A child that has ended says so once more; one that has not is left alone."""
        record = self.actor.record
        assert record is not None
        completed = self._completion()
        if record.parent is not None and completed is not None:
            failure = FailureDetails.unpack(completed.failure) if completed.failure is not None else None
            self._tell_parent(record.parent, record.status, completed.result, failure)

    def _completion(self) -> ExecutionCompleted | None:
        """The last event of an instance that has ended, if its history is at hand."""
        for row in self.actor.rows[::-1]:  # mypyc cannot compile `reversed` of an actor's field
            for event in row.turn or ():
                if isinstance(event, ExecutionCompleted):
                    return event
        return None

    def _was_terminated_with_children(self) -> bool:
        return any(
            isinstance(event, ExecutionTerminated) and event.recurse
            for row in self.actor.rows
            for event in row.turn or ()
        )

    def _take_back_timers(self, execution: Execution) -> None:
        """Timers whose event came first."""
        for timer_id in execution.cancelled_timers:
            self._clear_timer(timer_id)
        execution.cancelled_timers.clear()

    def _clear_timers(self) -> None:
        for timer_id in list(self.actor.work.timers):
            self._clear_timer(timer_id)

    def _clear_timer(self, timer_id: int) -> None:
        due_us = self.actor.work.timers.pop(timer_id, None)
        if due_us is None:
            return
        self.actor.work.waits.pop(timer_id, None)
        if due_us >= END_OF_TIME_US:
            return
        # One that was set in this very turn has no row to clear.
        if self._timers_set.pop(timer_id, None) is None:
            self.turn.reminders_cleared.append((str(timer_id), due_us))

    # Finishing: what is written down.

    def _finish(self) -> None:
        actor = self.actor
        turn = self.turn
        if self._timers_set:
            turn.reminders_set = [(str(timer_id), due_us) for timer_id, due_us in self._timers_set.items()]
        if self._asked is not None or self._holding:
            events = None if self._asked is None else [*self._arrived, *self._asked]
            row = Row(self._turn_at_us or self.now_us, events, self._holding, self._consumed)
            turn.entry = actor.surroundings.packer.pack(*row)
            self._remember(row)
            actor.last_us = self.now_us
        record = actor.record
        if record is not None:
            if record is not self._record_before and record != self._record_before:
                turn.record = record.pack(actor.surroundings.record_packer)
            turn.busy = self._busy(record)
            turn.quiet = record.status.terminal and not turn.busy

    def _remember(self, row: Row) -> None:
        """Keep in memory what the next turn needs of this one."""
        actor = self.actor
        if row.turn is not None:
            del actor.held[: row.consumed]
        actor.held += self._holding
        if actor.timeline is not None:
            actor.timeline.add(row)
            actor.rows = [row]
        elif actor.execution is None:
            actor.rows.append(row)

    def _busy(self, record: InstanceRecord) -> bool:
        """Whether a restart would have something to pick up here."""
        actor = self.actor
        if record.status.terminal:
            return record.status is not Status.TERMINATED and bool(actor.work.tasks or actor.unconfirmed)
        waiting = bool(actor.held) and record.status is not Status.SUSPENDED and not self._waits_for_start
        return bool(actor.work.tasks) or bool(actor.unconfirmed) or record.status is Status.STALLED or waiting


_RECEIVERS: dict[type[Any], Callable[[WorkflowTurn, Envelope], None]] = {
    Start: WorkflowTurn._receive_start,
    RaiseEvent: WorkflowTurn._receive_event,
    Suspend: WorkflowTurn._receive_suspend,
    Resume: WorkflowTurn._receive_resume,
    Terminate: WorkflowTurn._receive_terminate,
    Purge: WorkflowTurn._receive_purge,
    ActivityDone: WorkflowTurn._receive_activity_done,
    ChildDone: WorkflowTurn._receive_child_done,
    ChildStarted: WorkflowTurn._receive_child_started,
    ReminderDue: WorkflowTurn._receive_reminder,
    Continue: WorkflowTurn._receive_continue,
    Recover: WorkflowTurn._receive_recover,
    RemoteAnswer: WorkflowTurn._receive_answer,
    StartCopy: WorkflowTurn._receive_copy,
    TryAgain: WorkflowTurn._receive_try_again,
}
_EFFECTS: dict[type[Command], Callable[[WorkflowTurn, Any], None]] = {
    TaskScheduled: WorkflowTurn._invoke,
    TimerCreated: WorkflowTurn._set_timer,
    ChildCreated: WorkflowTurn._create_child,
    DetachedCreated: WorkflowTurn._create_detached,
}


def _up_to(events: Sequence[TimedEvent], event_id: int | None) -> list[TimedEvent]:
    """A history up to the event that asked for something, that one included."""
    shown: list[TimedEvent] = []
    for timed in events:
        shown.append(timed)
        if timed.event_id == event_id and not isinstance(timed.event, ExecutionCompleted):
            break
    return shown


def _foreign(asked: str | None, hosted: str) -> FailureDetails:
    return FailureDetails(
        error_type="ForeignAppError",
        message=f"this daemon hosts the app ID '{hosted}' only, not '{asked}'",
        non_retriable=True,
    )


def _unfit(patches: tuple[str, ...], version: str | None, answer: WorkflowAnswer) -> str | None:
    """Why a worker's code does not fit the history (contract 3.19); None if it does."""
    if answer.version_missing:
        return f"Version not available: {version or ''}"
    if answer.patches[: len(patches)] != patches:
        known, current = ", ".join(patches), ", ".join(answer.patches)
        return f"Patch mismatch. History patches: [{known}], current patches: [{current}]. "
    return None

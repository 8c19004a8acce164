"""Mutants of the parts between instances and workers: tokens, turns that are out, answers."""

from typing import Any

import pytest

from perdure.actors.address import Address
from perdure.actors.turn import Envelope
from perdure.rpc.services import work_items
from perdure.runtime.history.event import TaskCompleted
from perdure.runtime.instance.message import ActivityDone, Invoke, RemoteAnswer
from perdure.runtime.instance.receiving import RECEIVERS as RECEIVERS_OF_TURNS
from perdure.runtime.instance.sheet import TurnSheet
from perdure.runtime.workers.dispatcher import Dispatcher
from perdure.runtime.workers.items import WorkUnknown
from perdure.runtime.workers.keys import activity_key
from perdure.runtime.workers.stream import Job
from perdure.runtime.workers.unanswered import Unanswered

from .catalogue import mutant

RECEIVERS: dict[Any, Any] = RECEIVERS_OF_TURNS


@mutant("E3", "E8", within=40, workers=True)
def an_answer_counts_twice(patch: pytest.MonkeyPatch) -> None:
    original = Dispatcher._finish

    def finish(self: Dispatcher, key: Any, token: str, task_id: int | None = None) -> Job | None:
        taken: dict[Any, Job] = self.__dict__.setdefault("_taken", {})
        try:
            job = original(self, key, token, task_id)
        except WorkUnknown:
            if (key, token) not in taken:
                raise
            return taken[key, token]
        if job is not None:
            taken[key, job.token] = job
        return job

    first = RECEIVERS[ActivityDone]

    def receive(sheet: TurnSheet, envelope: Envelope) -> None:
        done: ActivityDone = envelope.body
        if sheet.awaits(done.execution_id) and done.task_id not in sheet.actor.open.tasks and done.failure is None:
            sheet.arrive(TaskCompleted(done.task_id, done.result))
        else:
            first(sheet, envelope)

    patch.setattr(Dispatcher, "_finish", finish)
    patch.setitem(RECEIVERS, ActivityDone, receive)


@mutant("E3", "E7", "E8", "E10", within=40, workers=True)
def an_answer_under_an_old_token_counts(patch: pytest.MonkeyPatch) -> None:
    original = Dispatcher._finish
    patch.setattr(Dispatcher, "_finish", lambda self, key, token, task_id=None: original(self, key, "", task_id))


@mutant("E3", "E7", "E8", "E10", within=40, workers=True)
def an_answer_counts_for_another_state_of_its_instance(patch: pytest.MonkeyPatch) -> None:
    def receive(sheet: TurnSheet, envelope: Envelope) -> None:
        if sheet.awaits(envelope.body.work.execution_id):
            sheet.answered = envelope.body
        sheet.actor.offered = None

    patch.setitem(RECEIVERS, RemoteAnswer, receive)


@mutant("E10", "E16", within=40, workers=True)
def a_worker_may_end_an_instance_as_it_likes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(work_items, "check_workflow_answer", lambda answer: None)


@mutant("E10", "E16", workers=True, fates=("repaired",))
def work_that_no_worker_has_is_taken_back_from_one(patch: pytest.MonkeyPatch) -> None:
    original = Dispatcher.receive_activity

    def receive(self: Dispatcher, address: Address, invoke: Invoke) -> None:
        job = self._jobs.get(activity_key(invoke.instance_id, invoke.task_id))
        if job is not None and job.request.execution_id == invoke.execution_id and invoke.again and job.sent:
            self._give_again(job)
        else:
            original(self, address, invoke)

    patch.setattr(Dispatcher, "receive_activity", receive)


@mutant("E10", workers=True)
def work_whose_stream_has_ended_is_not_dispatched_again(patch: pytest.MonkeyPatch) -> None:
    original = Dispatcher._tell_gone

    def tell_gone(self: Dispatcher, stream: Any, stayed_s: float) -> None:
        original(self, stream, stayed_s)
        for job in (*stream.turns.values(), *stream.activities.values()):
            job.withdrawn = True

    patch.setattr(Dispatcher, "_tell_gone", tell_gone)


# An activity that its workflow does not wait for, and one with its number in the next generation.
LEFT_BEHIND = [["either", 0, 0.000_5], ["again", [["work", 5], ["again", [["work", 3]]]]]]


@mutant("E8", within=40, workers=True, program=LEFT_BEHIND)
def a_worker_without_tokens_is_given_a_key_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Unanswered, "sent", lambda self, job: None)

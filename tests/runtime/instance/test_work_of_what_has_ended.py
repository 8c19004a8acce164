"""Activities that nothing waits for any more are withdrawn, at each kind of end.

One table for native and remote code: each ending, which activities it
withdraws, and whether those that have begun are cancelled.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import anyio
import pytest

from perdure import App, Engine, Settings, Status, WorkflowContext
from perdure.actors.turn import RECOVER
from perdure.runtime.execution.drive import ContinuedAsNew
from perdure.runtime.history.event import ExecutionCompleted, TaskScheduled
from perdure.runtime.instance.message import (
    ActivityDone,
    Invoke,
    Purge,
    RaiseEvent,
    RemoteAnswer,
    Start,
    Terminate,
    TryAgain,
    Withdraw,
    WorkflowAnswer,
)
from perdure.runtime.workers.items import ActivityAnswer, ActivityItem, Worker
from perdure.runtime.workers.limits import DispatchLimits

from ...support.workflows.lone_actor import LoneActor
from ...support.workflows.turn_app import make_app as turn_app

FAILED = ("ValueError", "no", None, None, False)


def app() -> App:
    app = App("endings")

    @app.workflow
    async def w(ctx: WorkflowContext) -> str:
        ctx.call_activity("a")
        ctx.call_activity("b")
        how = await ctx.wait_for_external_event("end")
        ctx.call_activity("last")
        if how == "fail":
            raise ValueError("no")
        if how == "again":
            ctx.continue_as_new(None)
        if how == "wait":
            await ctx.wait_for_external_event("never")
        return "done"

    return app


class Ending(NamedTuple):
    """A way to end, and the withdrawn ones of the activities 1, 2 and 3; 3 is requested in the last turn."""

    native: list[Any]
    remote: dict[str, Any] | list[Any]
    task_ids: set[int]
    ended: bool = False


LAST = TaskScheduled(3, "last", None, "k3")
ENDINGS = {
    "completes": Ending(
        [RaiseEvent("end", '"complete"')],
        {"commands": [LAST, ExecutionCompleted(4, Status.COMPLETED.value, '"done"')]},
        {1, 2},
    ),
    "fails": Ending(
        [RaiseEvent("end", '"fail"')],
        {"commands": [LAST, ExecutionCompleted(4, Status.FAILED.value, None, FAILED)]},
        {1, 2},
    ),
    "continues as new": Ending(
        [RaiseEvent("end", '"again"')], {"commands": [], "continued": ContinuedAsNew(None, [])}, {1, 2}
    ),
    "terminated": Ending([Terminate(None, recurse=True)], [Terminate(None, recurse=True)], {1, 2}, ended=True),
    "terminated alone": Ending([Terminate(None, recurse=False)], [Terminate(None, recurse=False)], {1, 2}, ended=True),
    "purged by force": Ending([Purge(force=True)], [Purge(force=True)], {1, 2}, ended=True),
    "purged and begun anew": Ending(
        [Purge(force=True), Start("w", None, "x2")], [Purge(force=True), Start("w", None, "x2")], {1, 2}, ended=True
    ),
    "terminated with an event": Ending(
        [RaiseEvent("end", '"wait"'), Terminate(None, recurse=True)],
        [RaiseEvent("end", '"wait"'), Terminate(None, recurse=True)],
        {1, 2},
        ended=True,
    ),
}


def native(forgetful: bool) -> LoneActor:
    actor = LoneActor(app(), forgetful=forgetful)
    actor.start("w")
    return actor


def remote(forgetful: bool) -> LoneActor:
    actor = LoneActor(None, forgetful=forgetful)
    actor.start("w")
    answer(actor, commands=[TaskScheduled(1, "a", None, "k1"), TaskScheduled(2, "b", None, "k2")])
    actor.raise_event("end", '"?"')
    return actor


def answer(actor: LoneActor, **outcome: Any) -> None:
    if actor.actor.offered is None:
        actor.tell(TryAgain())
    offer = actor.actor.offered
    assert offer is not None
    work = offer.settle()
    assert work is not None
    actor.tell(RemoteAnswer(work, WorkflowAnswer("i", "", outcome.pop("commands", []), **outcome)))


def withdrawals(actor: LoneActor) -> list[Withdraw]:
    return [body for _, body in actor.sent(Withdraw)]


def check(actor: LoneActor, ending: Ending) -> None:
    (message,) = withdrawals(actor)
    assert (message.instance_id, message.execution_id) == ("i", "x1")
    assert (set(message.task_ids), message.ended) == (ending.task_ids, ending.ended)


@pytest.mark.parametrize("forgetful", [False, True], ids=["in memory", "rebuilt"])
@pytest.mark.parametrize("name", ENDINGS)
def test_work_of_native_code_that_has_ended_is_withdrawn(name: str, forgetful: bool) -> None:
    actor, ending = native(forgetful), ENDINGS[name]
    actor.send(*ending.native)
    check(actor, ending)


@pytest.mark.parametrize("name", ENDINGS)
def test_work_of_a_workers_code_that_has_ended_is_withdrawn(name: str) -> None:
    actor, ending = remote(forgetful=False), ENDINGS[name]
    if isinstance(ending.remote, dict):
        answer(actor, **ending.remote)
    else:
        actor.send(*ending.remote)
    check(actor, ending)


@pytest.mark.parametrize("begin", [native, remote])
def test_an_activity_that_was_answered_is_not_withdrawn(begin: Callable[[bool], LoneActor]) -> None:
    actor = begin(False)
    actor.done(1, "1")
    actor.terminate()
    (message,) = withdrawals(actor)
    assert tuple(message.task_ids) == (2,)


def test_an_end_with_nothing_open_withdraws_nothing() -> None:
    actor = native(False)
    actor.done(1)
    actor.done(2)
    actor.raise_event("end", '"complete"')
    assert withdrawals(actor) == []
    # The last turn's activity is performed, also after a restart,
    assert actor.invoked[-1] == "last"
    actor.restart()
    assert actor.invoked == ["last"]
    # unless the instance is purged before.
    actor.purge()
    assert withdrawals(actor) == [Withdraw("i", "x1", (3,), False)]


def test_the_turn_of_a_worker_is_withdrawn_though_no_activity_is_open() -> None:
    actor = LoneActor(None)
    actor.start("w")
    actor.terminate()
    assert withdrawals(actor) == [Withdraw("i", "x1", (), True)]


def test_a_termination_offers_no_turn_and_makes_none_void_that_a_worker_has() -> None:
    actor = remote(forgetful=False)
    offer = actor.actor.offered
    assert offer is not None
    offer.patience_s = 0.05
    before = len(actor.messages)
    actor.terminate()
    assert [body for _, body in actor.messages[before:] if not isinstance(body, Withdraw)] == []


def test_after_a_restart_nothing_of_a_terminated_instance_is_asked_for() -> None:
    actor = native(False)
    actor.terminate()
    actor.restart()
    assert actor.sent(Invoke) == []


def test_what_the_last_turn_asked_for_is_not_performed_again_once_it_has_its_answer() -> None:
    # Given an instance that has ended with an activity under way, which then ends too,
    actor = LoneActor(turn_app())
    actor.start("loose_ends")
    assert actor.busy
    actor.done(1)
    assert not actor.busy
    # when it is loaded again and takes another turn, and the process ends,
    actor.evict()
    actor.raise_event("e")
    assert not actor.busy
    actor.restart()
    # then no activity is left to begin again.
    assert actor.invoked == []


@pytest.mark.anyio
async def test_an_engine_performs_nothing_more_of_a_terminated_instance(settings: Settings) -> None:
    begun: list[int] = []
    app = App("test")

    @app.activity
    async def hang(ctx: Any, number: int) -> None:
        begun.append(number)
        await anyio.sleep_forever()

    @app.activity
    async def quick(ctx: Any) -> str:
        return "done"

    @app.workflow
    async def hangs(ctx: WorkflowContext) -> None:
        await ctx.when_all([ctx.call_activity(hang, input=number) for number in range(30)])

    @app.workflow
    async def one(ctx: WorkflowContext) -> str:
        return await ctx.call_activity(quick)

    async with Engine(app, data=":memory:", settings=replace(settings, activities_max=4)) as engine:
        await engine.client.start("hangs", instance_id="h")
        with anyio.fail_after(5):
            while len(begun) < 4:
                await anyio.sleep(0.001)
        await engine.client.terminate("h")
        state = await engine.client.wait(await engine.client.start("one"), timeout=timedelta(seconds=5))
        assert state.output == "done"
        assert begun == [0, 1, 2, 3]


@pytest.mark.anyio
@pytest.mark.parametrize("force_purge", [False, True])
async def test_a_worker_gets_nothing_more_of_an_instance_that_was_ended(settings: Settings, force_purge: bool) -> None:
    limited = replace(settings, dispatch=DispatchLimits(activities_max=1))
    async with (
        Engine(None, data=":memory:", settings=limited) as engine,
        engine.dispatcher.connect(Worker("peer", "agent", stateful=False)) as items,
    ):
        # Given a worker that has one activity of twenty,
        await engine.client.start("w", instance_id="i")
        with anyio.fail_after(5):
            begun = await anext(items)
            asked = [TaskScheduled(number, "a", None, f"k{number}") for number in range(1, 21)]
            await engine.dispatcher.complete_workflow(WorkflowAnswer("i", begun.token, asked))
            item = await anext(items)
        assert isinstance(item, ActivityItem)
        # when the instance is ended,
        if force_purge:
            await engine.facade.purge("i", force=True)
        else:
            await engine.client.terminate("i")
        # then the worker may answer that one, and gets no other of this instance, but one of another instance.
        await engine.dispatcher.complete_activity(ActivityAnswer("i", item.task_id, item.token, "1", None))
        with anyio.move_on_after(0.05) as idle:
            await anext(items)
        assert idle.cancelled_caught
        await engine.client.start("w", instance_id="other")
        with anyio.fail_after(5):
            assert (await anext(items)).instance_id == "other"


@pytest.mark.parametrize("then", [[], [Terminate(None, recurse=True)], [RaiseEvent("end", '"complete"')]])
def test_an_answer_that_comes_with_a_recovery_is_not_asked_for_again(then: list[Any]) -> None:
    # Given an instance that waits for two activities,
    actor = LoneActor(app())
    actor.start("w")
    actor.messages.clear()
    # when it recovers after a commit that has failed, and in the same turn gets the answer of one,
    actor.send(RECOVER, ActivityDone(actor.execution_id, 1, "1", None), *then)
    # then that one is not performed again.
    asked = [body.task_id for _, body in actor.messages if isinstance(body, Invoke)]
    assert 1 not in asked
    if not then:
        assert asked == [2]

"""A detached instance that a workflow requests begins once, even if the requesting instance ends.

The requesting instance keeps the start until it is known to be accepted, and sends it again after a restart.
"""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perdure import Status
from perdure.runtime.errors import InstanceExists
from perdure.runtime.execution.drive import ContinuedAsNew
from perdure.runtime.history.event import DetachedCreated, ExecutionCompleted, TaskScheduled
from perdure.runtime.history.record import unpack_record
from perdure.runtime.instance.message import EventsTaken, RemoteAnswer, SendEvent, Start, WorkflowAnswer

from ...support.workflows.lone_actor import LoneActor

ASKED = DetachedCreated(1, "other", "w", "5", 7, None, None, ("00-1", "2", None))
COMPLETED = ExecutionCompleted(2, Status.COMPLETED.value, None)


def answer(actor: LoneActor, *commands: Any, **more: Any) -> None:
    work = actor.actor.offered.settle()  # type: ignore[union-attr]
    assert work is not None
    actor.tell(RemoteAnswer(work, WorkflowAnswer("i", "", commands, **more)))


def goes_on(actor: LoneActor) -> None:
    answer(actor, ASKED, TaskScheduled(2, "a", None, "k"))


def completes(actor: LoneActor) -> None:
    answer(actor, ASKED, COMPLETED)


def continues_as_new_later(actor: LoneActor) -> None:
    answer(actor, ASKED)
    actor.raise_event("x")
    answer(actor, continued=ContinuedAsNew(None, []))


def is_terminated(actor: LoneActor) -> None:
    goes_on(actor)
    actor.terminate()


def is_suspended(actor: LoneActor) -> None:
    goes_on(actor)
    actor.suspend()


@pytest.mark.parametrize("forgetful", [False, True], ids=["in memory", "rebuilt"])
@pytest.mark.parametrize("becomes", [goes_on, completes, continues_as_new_later, is_terminated, is_suspended])
def test_a_start_is_sent_again_until_it_is_taken(becomes: Callable[[LoneActor], None], forgetful: bool) -> None:
    actor = LoneActor(None, forgetful=forgetful)
    actor.start("asker")
    becomes(actor)
    [(receiver, first)] = actor.sent(SendEvent)
    assert receiver == "other"
    assert first.event.execution_id
    assert first.event == ASKED._replace(execution_id=first.event.execution_id)
    assert actor.busy
    for _ in range(2):
        actor.restart()
        assert actor.sent(SendEvent) == [("other", first)]
    actor.tell(EventsTaken([first.key]))
    actor.restart()
    assert actor.sent(SendEvent) == []


def test_the_history_has_the_request_as_the_worker_gave_it() -> None:
    actor = LoneActor(None)
    actor.start("asker")
    goes_on(actor)
    assert ASKED in actor.history


# The other end. `repeatable` starts come twice.

START = Start("w", None, "x9", repeatable=True)


def ended(actor: LoneActor, execution_id: str) -> None:
    actor.start("w", execution_id=execution_id)
    answer(actor, COMPLETED._replace(event_id=1))


def has_begun(actor: LoneActor) -> None:
    actor.send(START)


def has_ended(actor: LoneActor) -> None:
    ended(actor, "x9")


def has_ended_in_a_later_generation(actor: LoneActor) -> None:
    actor.send(START)
    answer(actor, continued=ContinuedAsNew(None, []))
    actor.messages.clear()
    actor.terminate()


@pytest.mark.parametrize("becomes", [has_begun, has_ended, has_ended_in_a_later_generation])
@pytest.mark.parametrize("forgetful", [False, True], ids=["in memory", "rebuilt"])
def test_a_start_that_comes_twice_is_answered_twice_and_begins_once(
    becomes: Callable[[LoneActor], None], forgetful: bool
) -> None:
    actor = LoneActor(None, forgetful=forgetful)
    becomes(actor)
    before = actor.entries[:]
    assert actor.send(START) == "i"
    assert actor.entries == before


def test_an_id_that_another_has_is_refused_while_that_runs_and_taken_when_it_has_ended() -> None:
    actor = LoneActor(None)
    actor.start("w", execution_id="x1")
    assert isinstance(actor.send(START), InstanceExists)
    answer(actor, COMPLETED._replace(event_id=1))
    assert actor.send(START) == "i"
    assert actor.record is not None
    assert unpack_record(actor.record).execution_id == "x9"


PROGRAM = """
import os, signal, sys
import anyio
import perdure
from perdure.runtime.history.event import DetachedCreated
from perdure.runtime.instance.message import WorkflowAnswer
from perdure.runtime.operations.event_sender import EventSender
from perdure.runtime.workers.items import Worker

data, where = sys.argv[1:]
app = perdure.App("detached")

@app.workflow
async def work(ctx, n):
    await ctx.call_activity(note, input=ctx.instance_id)

@app.activity
async def note(ctx, name):
    with open(f"{data}.notes", "a") as file:
        print(name, file=file)

deliver = EventSender._deliver

async def dies(self, receiver_id, message):
    if where == "after":
        await deliver(self, receiver_id, message)
    os.kill(os.getpid(), signal.SIGKILL)

if where != "never":
    EventSender._deliver = dies

async def main():
    settings = perdure.Settings(wait_for_workers=True)
    async with perdure.Engine(app, data=data, settings=settings) as engine:
        if where != "never":
            await engine.facade.start("asker", instance_id="asker")
            async with engine.dispatcher.connect(Worker("here", "test", stateful=False)) as items:
                item = await anext(items)
                asked = DetachedCreated(1, "other", "work", "1")
                await engine.dispatcher.complete_workflow(WorkflowAnswer("asker", item.token, (asked,)))
                await anyio.sleep(30)
        await engine.facade.wait("other", await_creation=True)
        await engine.facade.terminate("asker")
        with anyio.fail_after(20):
            while await engine.store.active():
                await anyio.sleep(0.01)

anyio.run(main)
"""


@pytest.mark.parametrize("where", ["before", "after"])
def test_an_asker_that_is_killed_between_its_commit_and_the_start_has_it_begin_once(tmp_path: Path, where: str) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "p.db")]
    # Given a requesting instance whose process is killed before, or after, the other instance has its start,
    ran = subprocess.run([*command, where], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    # when it is started again, then the other instance runs, once, and nothing is left to do.
    ran = subprocess.run([*command, "never"], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "p.db.notes").read_text().split() == ["other"]
    # A third start finds nothing to send again.
    ran = subprocess.run([*command, "never"], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "p.db.notes").read_text().split() == ["other"]

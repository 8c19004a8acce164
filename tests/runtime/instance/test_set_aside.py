"""An instance that is set aside is STALLED: it keeps arrivals and begins nothing, and continues after a release."""

from collections.abc import Callable
from typing import Any

import pytest

from perdure import FailureDetails, Status
from perdure.actors.turn import RECOVER, SetAside
from perdure.runtime.errors import InstanceExists, InstanceNotFound, InstanceNotSetAside, InstanceStalled
from perdure.runtime.history.event import ExecutionStalled, StallReason
from perdure.runtime.history.row import unpack_row
from perdure.runtime.instance.message import (
    ActivityDone,
    ChildDone,
    Continue,
    Invoke,
    RaiseEvent,
    ReleaseAside,
    Resume,
    Start,
    StartCopy,
    Suspend,
    TryAgain,
)
from perdure.runtime.instance.offer import Offer

from ...support.workflows.lone_actor import LoneActor
from ...support.workflows.turn_app import make_app

POISON = SetAside("poison")
BROKEN = SetAside("our turn broke", until_restart=True)


def running(name: str = "steps", *, forgetful: bool = False) -> LoneActor:
    lone = LoneActor(make_app(), forgetful=forgetful)
    lone.start(name)
    return lone


def waiting_to_start(lone: LoneActor) -> None:
    lone.start("steps", start_at_us=lone.now_us + 60_000_000)


def suspended(lone: LoneActor) -> None:
    lone.start("events")
    lone.suspend()


STATES: dict[str, tuple[Callable[[LoneActor], Any], Status]] = {
    "in an activity": (lambda lone: lone.start("steps"), Status.RUNNING),
    "waiting for an event": (lambda lone: lone.start("events"), Status.RUNNING),
    "asleep": (lambda lone: lone.start("sleeper"), Status.RUNNING),
    "waiting to start": (waiting_to_start, Status.PENDING),
    "suspended": (suspended, Status.SUSPENDED),
}
each_state = pytest.mark.parametrize(("reach", "status"), STATES.values(), ids=STATES)
both_ways = pytest.mark.parametrize("forgetful", [False, True])


@both_ways
@each_state
def test_it_is_stalled_and_says_why_also_after_a_restart(
    reach: Callable[[LoneActor], Any], status: Status, forgetful: bool
) -> None:
    lone = LoneActor(make_app(), forgetful=forgetful)
    reach(lone)
    assert lone.status is status
    rows = len(lone.entries)
    lone.tell(POISON)
    for _ in range(2):
        assert (lone.status, lone.state.stall, lone.state.set_aside) == (Status.STALLED, "poison", True)
        assert lone.busy, "a restart is to find it"
        lone.restart()
        assert lone.messages == []
    # The history shows the stall once, and no turn of the code.
    (row,) = map(unpack_row, lone.entries[rows:])
    assert (row.turn, row.held) == (None, [ExecutionStalled("poison", StallReason.PATCH_MISMATCH)])


@both_ways
@each_state
def test_a_release_is_no_turn_of_the_code_and_leaves_nothing_to_wake_for(
    reach: Callable[[LoneActor], Any], status: Status, forgetful: bool
) -> None:
    lone = LoneActor(make_app(), forgetful=forgetful)
    reach(lone)
    busy = lone.busy
    rows = len(lone.entries)
    for _ in range(2):
        lone.tell(POISON)
        lone.tell(POISON)  # it may come twice
        lone.send(ReleaseAside())
        lone.restart()
    assert (lone.status, lone.busy) == (status, busy)
    assert [unpack_row(entry).turn for entry in lone.entries[rows:]] == [None, None]


@both_ways
def test_of_one_that_broke_for_a_reason_of_ours_only_the_record_says_so(forgetful: bool) -> None:
    lone = running(forgetful=forgetful)
    rows = len(lone.entries)
    lone.tell(BROKEN)
    assert (lone.status, len(lone.entries)) == (Status.STALLED, rows)


@both_ways
@each_state
def test_a_release_makes_it_what_it_was(reach: Callable[[LoneActor], Any], status: Status, forgetful: bool) -> None:
    lone = LoneActor(make_app(), forgetful=forgetful)
    reach(lone)
    lone.tell(POISON)
    lone.restart()
    assert lone.send(ReleaseAside()) is None
    assert (lone.status, lone.state.stall, lone.state.set_aside) == (status, None, False)


ARRIVALS: dict[str, Callable[[LoneActor], Any]] = {
    "a restart": lambda lone: lone.send(RECOVER),
    "an event": lambda lone: lone.raise_event("e", "1"),
    "a result": lambda lone: lone.done(1, "1"),
    "a word to go on": lambda lone: lone.send(Continue()),
    "a worker": lambda lone: lone.send(TryAgain()),
    "the same again": lambda lone: lone.tell(POISON),
    "a suspension": lambda lone: lone.send(Suspend(None)),
    "a resumption": lambda lone: lone.send(Resume(None)),
}


@both_ways
@pytest.mark.parametrize("arrive", ARRIVALS.values(), ids=ARRIVALS)
def test_whatever_arrives_begins_nothing(arrive: Callable[[LoneActor], Any], forgetful: bool) -> None:
    lone = running(forgetful=forgetful)
    lone.tell(POISON)
    lone.messages.clear()
    arrive(lone)
    assert lone.messages == []
    assert lone.status is Status.STALLED


@both_ways
def test_what_has_arrived_meanwhile_counts_after_the_release(forgetful: bool) -> None:
    # Given an instance that waits for two events, and one that waits for a result,
    lone = running("events", forgetful=forgetful)
    lone.tell(POISON)
    # when they arrive while it is set aside, and it is released,
    for data in ("1", "2"):
        assert lone.raise_event("e", data) is None
        lone.restart()
    assert lone.send(ReleaseAside()) is None
    # then it gets both, in their order.
    assert (lone.status, lone.state.output) == (Status.COMPLETED, "[1,2]")


@both_ways
def test_a_timer_that_is_due_is_kept(forgetful: bool) -> None:
    lone = running("sleeper", forgetful=forgetful)
    lone.tell(POISON)
    lone.fire()
    assert (lone.status, lone.reminders) == (Status.STALLED, set())
    lone.restart()
    lone.send(ReleaseAside())
    assert (lone.status, lone.state.output) == (Status.COMPLETED, '"awake"')


@both_ways
def test_a_retry_that_is_due_is_kept(forgetful: bool) -> None:
    lone = running("retried", forgetful=forgetful)
    lone.done(1, failure=FailureDetails(error_type="ValueError", message="no"))
    lone.tell(POISON)
    lone.messages.clear()
    lone.fire()
    assert lone.invoked == []
    lone.send(ReleaseAside())
    assert lone.invoked == ["a"]


@both_ways
def test_a_child_that_ends_is_kept(forgetful: bool) -> None:
    lone = running("parent", forgetful=forgetful)
    lone.tell(POISON)
    lone.send(ChildDone(lone.execution_id, 1, Status.COMPLETED, '"grown"', None))
    assert lone.status is Status.STALLED
    lone.send(ReleaseAside())
    assert (lone.status, lone.state.output) == (Status.COMPLETED, '"grown"')


def test_a_release_asks_again_for_what_is_open() -> None:
    lone = running()
    lone.tell(POISON)
    lone.restart()
    lone.send(ReleaseAside())
    assert lone.invoked == ["a"]


def test_a_release_without_a_daemon_begins_nothing_and_leaves_it_to_the_next_one() -> None:
    lone = running()
    lone.tell(POISON)
    lone.restart()
    lone.send(ReleaseAside(begin=False))
    assert (lone.status, lone.invoked, lone.busy) == (Status.RUNNING, [], True)
    lone.restart()
    assert lone.invoked == ["a"]


@both_ways
def test_it_can_be_terminated(forgetful: bool) -> None:
    lone = running(forgetful=forgetful)
    lone.tell(POISON)
    assert lone.terminate('"stop"') is None
    assert (lone.status, lone.state.output, lone.state.stall) == (Status.TERMINATED, '"stop"', None)
    assert not lone.state.set_aside
    lone.restart()
    assert lone.invoked == []


@both_ways
@pytest.mark.parametrize("force", [False, True])
def test_it_can_be_purged(forgetful: bool, force: bool) -> None:
    lone = running("sleeper", forgetful=forgetful)
    lone.tell(POISON)
    assert lone.purge(force=force) is None
    assert (lone.record, lone.entries, lone.reminders) == (None, [], set())


def test_what_it_cannot_do_now_is_refused() -> None:
    lone = running()
    lone.tell(POISON)
    assert isinstance(lone.suspend(), InstanceStalled)
    assert isinstance(lone.resume(), InstanceStalled)
    assert isinstance(lone.start("steps", execution_id="x2"), InstanceExists)


def test_only_instances_that_are_set_aside_are_released() -> None:
    lone = LoneActor(make_app())
    assert isinstance(lone.send(ReleaseAside()), InstanceNotFound)
    lone.start("steps")
    error = lone.send(ReleaseAside())
    assert isinstance(error, InstanceNotSetAside)
    assert str(error) == "instance 'i' is RUNNING and not set aside; there is nothing to release"


def test_one_that_ends_the_process_in_its_first_turn_is_set_aside_as_it_begins() -> None:
    lone = LoneActor(make_app())
    assert lone.send(POISON, Start("steps", None, "x1")) == "i"
    assert (lone.status, lone.state.name, lone.invoked) == (Status.STALLED, "steps", [])
    lone.send(ReleaseAside())
    assert (lone.status, lone.invoked) == (Status.RUNNING, ["a"])


def test_one_that_is_not_there_stays_so() -> None:
    lone = LoneActor(make_app())
    lone.tell(POISON)
    assert lone.record is None


def test_a_finished_one_stays_finished_and_performs_nothing_any_more() -> None:
    # Given an instance that asked for an activity in its last turn without awaiting it,
    lone = running("loose_ends")
    assert (lone.status, lone.invoked) == (Status.COMPLETED, ["not awaited"])
    # when the activity ends the process again and again,
    lone.tell(POISON)
    lone.restart()
    # then it is not performed any more,
    assert (lone.status, lone.state.set_aside, lone.invoked, lone.busy) == (Status.COMPLETED, True, [], False)
    # until it is requested.
    lone.send(ReleaseAside())
    assert lone.invoked == ["not awaited"]


def test_no_worker_is_offered_its_turn() -> None:
    lone = LoneActor(None)
    lone.start("steps")
    assert [offer for _, offer in lone.messages if isinstance(offer, Offer)]
    lone.tell(POISON)
    assert all(offer.settle() is None for _, offer in lone.messages if isinstance(offer, Offer))
    lone.messages.clear()
    for message in (TryAgain(), Continue(), RECOVER):
        lone.send(message)
    assert lone.messages == []
    lone.send(ReleaseAside())
    assert [offer for _, offer in lone.messages if isinstance(offer, Offer)]


def test_the_order_within_a_turn_is_no_matter() -> None:
    lone = running()
    lone.evict()
    lone.messages.clear()
    lone.send(POISON, RECOVER, ActivityDone(lone.execution_id, 1, "1", None), RaiseEvent("e", "1"))
    assert (lone.status, [body for _, body in lone.messages if isinstance(body, Invoke)]) == (Status.STALLED, [])


# An instance whose turn failed by a defect of Perdure.


@both_ways
def test_a_restart_tries_it_once_more(forgetful: bool) -> None:
    lone = running(forgetful=forgetful)
    lone.tell(BROKEN)
    assert (lone.status, lone.state.stall) == (Status.STALLED, "our turn broke")
    lone.done(1, "1")
    assert lone.status is Status.STALLED
    lone.evict()
    assert lone.actor.was_stalled
    lone.restart()
    assert (lone.status, lone.state.stall, lone.invoked) == (Status.RUNNING, None, ["b"])


def test_one_that_is_set_aside_for_good_is_not_one_that_broke() -> None:
    lone = running()
    lone.tell(POISON)
    lone.evict()
    assert not lone.actor.was_stalled


def test_a_copy_of_it_cannot_take_its_place() -> None:
    lone = running()
    lone.tell(POISON)
    assert lone.actor.record is not None
    assert isinstance(lone.send(StartCopy(lone.actor.record, lone.rows)), InstanceExists)

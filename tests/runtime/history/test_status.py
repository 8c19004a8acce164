"""The transitions of a status: each legal step is listed here too, and any other step raises and changes nothing."""

from itertools import product

import pytest

from perdure.runtime.history.status import TERMINAL, TRANSITIONS, IllegalStep, Status, Step, follow

# By status: the result of each step. A step that is not here is illegal.
LEGAL: dict[Status | None, dict[Step, Status]] = {
    None: {Step.START: Status.PENDING},
    Status.PENDING: {
        Step.RUN: Status.RUNNING,
        Step.SUSPEND: Status.SUSPENDED,
        Step.STALL: Status.STALLED,
        Step.FAIL: Status.FAILED,
        Step.TERMINATE: Status.TERMINATED,
        Step.SET_ASIDE: Status.STALLED,
    },
    Status.RUNNING: {
        Step.RUN: Status.RUNNING,
        Step.SUSPEND: Status.SUSPENDED,
        Step.STALL: Status.STALLED,
        Step.COMPLETE: Status.COMPLETED,
        Step.FAIL: Status.FAILED,
        Step.TERMINATE: Status.TERMINATED,
        Step.SET_ASIDE: Status.STALLED,
    },
    Status.SUSPENDED: {
        Step.RESUME: Status.RUNNING,
        Step.RESUME_START: Status.PENDING,
        Step.STALL: Status.STALLED,
        Step.COMPLETE: Status.COMPLETED,
        Step.FAIL: Status.FAILED,
        Step.TERMINATE: Status.TERMINATED,
        Step.SET_ASIDE: Status.STALLED,
    },
    Status.STALLED: {
        Step.RUN: Status.RUNNING,
        Step.STALL: Status.STALLED,
        Step.SET_ASIDE: Status.STALLED,
        Step.RELEASE: Status.RUNNING,
        Step.RELEASE_START: Status.PENDING,
        Step.RELEASE_SUSPENDED: Status.SUSPENDED,
        Step.TERMINATE: Status.TERMINATED,
    },
    Status.COMPLETED: {Step.START: Status.PENDING},
    Status.FAILED: {Step.START: Status.PENDING},
    Status.CANCELED: {Step.START: Status.PENDING},
    Status.TERMINATED: {Step.START: Status.PENDING},
    Status.CONTINUED_AS_NEW: {},
}
EVERY_STEP = list(product((None, *Status), Step))


@pytest.mark.parametrize(
    ("status", "step", "then"),
    [(status, step, then) for status, steps in LEGAL.items() for step, then in steps.items()],
)
def test_a_legal_step_leads_to_its_status(status: Status | None, step: Step, then: Status) -> None:
    assert follow(status, step) is then


@pytest.mark.parametrize(
    ("status", "step"), [(status, step) for status, step in EVERY_STEP if step not in LEGAL.get(status, {})]
)
def test_an_illegal_step_raises_and_says_what_was_tried(status: Status | None, step: Step) -> None:
    before = dict(TRANSITIONS)
    with pytest.raises(IllegalStep) as caught:
        follow(status, step)
    assert (caught.value.status, caught.value.step) == (status, step)
    assert str(caught.value) == f"{step.value} may not follow {status.name if status is not None else 'no instance'}"
    assert before == TRANSITIONS


def test_the_table_has_the_legal_steps_and_no_other() -> None:
    assert {(status, step): then for status, steps in LEGAL.items() for step, then in steps.items()} == TRANSITIONS


def test_the_numbers_are_those_of_durabletask() -> None:
    # They are in records on disk and on the wire (contract 4.1).
    assert {status.name: status.value for status in Status} == {
        "RUNNING": 0,
        "COMPLETED": 1,
        "CONTINUED_AS_NEW": 2,
        "FAILED": 3,
        "CANCELED": 4,
        "TERMINATED": 5,
        "PENDING": 6,
        "SUSPENDED": 7,
        "STALLED": 8,
    }


def test_four_statuses_are_final() -> None:
    assert {status for status in Status if status.terminal} == TERMINAL
    assert {status.name for status in TERMINAL} == {"COMPLETED", "FAILED", "CANCELED", "TERMINATED"}


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_nothing_but_a_new_start_follows_a_final_status(status: Status) -> None:
    assert [step for step in Step if (status, step) in TRANSITIONS] == [Step.START]


def test_no_step_leads_to_a_status_that_callers_may_not_see() -> None:
    # CONTINUED_AS_NEW is never observable, and CANCELED is known to SDKs only.
    assert {Status.CONTINUED_AS_NEW, Status.CANCELED}.isdisjoint(TRANSITIONS.values())


def test_every_status_that_is_not_final_has_a_way_to_a_final_one() -> None:
    for status in {*TRANSITIONS.values()} - TERMINAL:
        reached, waiting = {status}, [status]
        while waiting:
            here = waiting.pop()
            following = {then for (before, _), then in TRANSITIONS.items() if before == here} - reached
            reached |= following
            waiting += following
        assert reached & TERMINAL, status

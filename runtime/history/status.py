"""The life of an instance: its statuses, and the steps between them.

The rule: `TRANSITIONS` is the only place that says which step is legal. An
illegal step raises and changes nothing.

Workflow actors follow it. Source: contract 4.1 (statuses, numbers), 1.5
(behaviour per status).
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum


class Status(IntEnum):
    """The state of an instance, with the numbers of durabletask's OrchestrationStatus."""

    RUNNING = 0  # its code runs, or waits for something
    COMPLETED = 1  # its code has returned
    CONTINUED_AS_NEW = 2  # never observable: the next generation is RUNNING in the same commit
    FAILED = 3  # its code has raised an error, or has gone beyond a limit
    CANCELED = 4  # never produced; SDKs know it
    TERMINATED = 5  # ended from outside, without its code
    PENDING = 6  # started; its first turn is not taken yet
    SUSPENDED = 7  # takes no step until it is resumed
    STALLED = 8  # its code does not fit its history, or its rows cannot be read; or it is set aside

    __hash__ = int.__hash__  # in C; an enumeration's own hashes the name

    # Attributes of each member, which are set below. Each turn reads them several times: a property would be a call,
    # and so would the lookup of a member by its name, with which the status could be compared.
    terminal: bool  # nothing can happen to the instance any more
    suspended: bool  # it is SUSPENDED
    stalled: bool  # it is STALLED


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELED, Status.TERMINATED})
for _status in Status:
    _status.terminal = _status in TERMINAL
    _status.suspended = _status is Status.SUSPENDED
    _status.stalled = _status is Status.STALLED
STATUS_OF: Mapping[int, Status] = {status.value: status for status in Status}  # by number; `Status(number)` is slow


# The words for statuses in lists and filters. An instance that is set aside is shown as that, and not as STALLED.
SET_ASIDE = "SET_ASIDE"
STATUS_WORDS = (*(status.name for status in Status if status is not Status.CONTINUED_AS_NEW), SET_ASIDE)


class Step(StrEnum):
    """A step in the life of an instance, after which its status may be another."""

    __hash__ = str.__hash__  # as in Status

    START = "start"  # created, first turn not run yet
    RUN = "run"  # its code runs, or runs again after a stall
    SUSPEND = "suspend"
    RESUME = "resume"
    RESUME_START = "resume before the first turn"
    STALL = "stall"  # its code no longer fits its history
    COMPLETE = "complete"
    FAIL = "fail"
    TERMINATE = "terminate"
    SET_ASIDE = "set aside"  # none of its work begins until it is released
    RELEASE = "release"
    RELEASE_START = "release before the first turn"
    RELEASE_SUSPENDED = "release of a suspended one"


TRANSITIONS: dict[tuple[Status | None, Step], Status] = {
    (None, Step.START): Status.PENDING,
    (Status.PENDING, Step.RUN): Status.RUNNING,
    (Status.PENDING, Step.SUSPEND): Status.SUSPENDED,
    (Status.PENDING, Step.STALL): Status.STALLED,
    (Status.PENDING, Step.FAIL): Status.FAILED,
    (Status.PENDING, Step.TERMINATE): Status.TERMINATED,
    (Status.PENDING, Step.SET_ASIDE): Status.STALLED,
    (Status.RUNNING, Step.RUN): Status.RUNNING,
    (Status.RUNNING, Step.SUSPEND): Status.SUSPENDED,
    (Status.RUNNING, Step.STALL): Status.STALLED,
    (Status.RUNNING, Step.COMPLETE): Status.COMPLETED,
    (Status.RUNNING, Step.FAIL): Status.FAILED,
    (Status.RUNNING, Step.TERMINATE): Status.TERMINATED,
    (Status.RUNNING, Step.SET_ASIDE): Status.STALLED,
    (Status.SUSPENDED, Step.RESUME): Status.RUNNING,
    (Status.SUSPENDED, Step.RESUME_START): Status.PENDING,
    # The code is run only when it is fed: after a resume, or with arrivals from before the suspension.
    (Status.SUSPENDED, Step.STALL): Status.STALLED,
    (Status.SUSPENDED, Step.COMPLETE): Status.COMPLETED,
    (Status.SUSPENDED, Step.FAIL): Status.FAILED,
    (Status.SUSPENDED, Step.TERMINATE): Status.TERMINATED,
    (Status.SUSPENDED, Step.SET_ASIDE): Status.STALLED,
    (Status.STALLED, Step.RUN): Status.RUNNING,
    (Status.STALLED, Step.STALL): Status.STALLED,
    (Status.STALLED, Step.SET_ASIDE): Status.STALLED,
    # Of an instance that is set aside; one that is stalled for another reason takes neither.
    (Status.STALLED, Step.RELEASE): Status.RUNNING,
    (Status.STALLED, Step.RELEASE_START): Status.PENDING,
    (Status.STALLED, Step.RELEASE_SUSPENDED): Status.SUSPENDED,
    (Status.STALLED, Step.TERMINATE): Status.TERMINATED,
    # A finished instance may be started anew under its id (contract 4.2).
    (Status.COMPLETED, Step.START): Status.PENDING,
    (Status.FAILED, Step.START): Status.PENDING,
    (Status.CANCELED, Step.START): Status.PENDING,
    (Status.TERMINATED, Step.START): Status.PENDING,
}


class IllegalStep(AssertionError):
    """A step that the table does not allow: a bug of this package, never the caller's fault."""

    def __init__(self, status: Status | None, step: Step) -> None:
        super().__init__(status, step)
        self.status = status
        self.step = step

    def __str__(self) -> str:
        name = self.status.name if self.status is not None else "no instance"
        return f"{self.step.value} may not follow {name}"


def follow(status: Status | None, step: Step) -> Status:
    """The status that follows a step.

    Args:
        status: The present status; None: there is no instance.
        step: The step.

    Raises:
        IllegalStep: The table has no such step.
    """
    try:
        return TRANSITIONS[status, step]
    except KeyError:
        raise IllegalStep(status, step) from None

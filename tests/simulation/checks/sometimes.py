"""The events that must happen in some worlds, or they would prove nothing: counters that a night must not leave at 0.

Each is an event that is rare in the engine, and that most bugs have involved. `SOMETIMES` has their names, and
the faults that must strike somewhere, without events that need workers of SDKs.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from perdure.actors.hosting.committer import Committer
from perdure.actors.hosting.failures import Failures
from perdure.runtime.instance import turn
from perdure.runtime.instance.requests import steering
from perdure.runtime.instance.sheet import TurnSheet

LATER_TURN = "a commit failed under a later turn"
UNDONE_WITH_MAIL = "an activation was undone that had mail"
MARK_TAKEN = "a mark was taken away at an eviction"
CHILD_RECOVERED = "a child was recovered that had ended"
ANSWER_WITH_RECOVERY = "an answer came with a recovery"

SOMETIMES = (
    LATER_TURN,
    UNDONE_WITH_MAIL,
    MARK_TAKEN,
    CHILD_RECOVERED,
    ANSWER_WITH_RECOVERY,
    "kill",
    "commit failed",
    "activity performed again",
    "child",
    "rerun",
    "repaired: retry",
    "repaired: fire",
    "bulk",
    "repeated request",
    "standing compared",
    "a host was found dead",
    "move",
    "a poison was set aside",
    "newer code among older",
    "call of another app",
    "commits were lost",
    "an acknowledged turn was lost, and told of",
)
# Streams of choices that must have struck.
STREAMS = (
    "kill.before",
    "kill.unheard",
    "kill.begun",
    "kill.effect",
    "kill.between",
    "kill.starting",
    "kill.recovering",
    "kill.stopping",
    "host.pause",
    "host.restart",
    "store.fail",
    "store.slow",
    "store.load",
    "store.open",
    "store.reminders",
    "clock.step",
    "deploy",
    "request.lost",
    "request.again",
    "answer.lost",
    "caller.gives_up",
    "host.leave",
    "host.away",
    "hosts.apart",
    "hosts.roll",
    "wire.cut",
    "wire.slow",
    "database.failover",
    "database.behind",
)


@contextmanager
def counted(counts: Counter[str]) -> Iterator[None]:
    """Count the rare events of the engine until the block ends."""
    fail, abandon, retire = Committer._fail, Failures.abandon, Committer.retire
    tell: Any = vars(steering)["tell_parent_again"]
    drop: Any = vars(turn)["drop_answered"]

    def failed(self: Committer, group: Any, error: Any) -> None:
        broken = {id(taken.activation) for taken in group}
        counts[LATER_TURN] += any(id(taken.activation) in broken for taken in self._filling)
        fail(self, group, error)

    def abandoned(self: Failures, activation: Any, *given: Any, **named: Any) -> None:
        counts[UNDONE_WITH_MAIL] += bool(activation.mailbox)
        abandon(self, activation, *given, **named)

    def retired(self: Committer, activation: Any, now_us: int) -> None:
        counts[MARK_TAKEN] += 1
        retire(self, activation, now_us)

    def told(sheet: TurnSheet) -> None:
        record = sheet.actor.record
        counts[CHILD_RECOVERED] += record is not None and record.parent is not None
        tell(sheet)

    def dropped(sheet: TurnSheet) -> None:
        asked = len(sheet.turn.messages)
        drop(sheet)
        counts[ANSWER_WITH_RECOVERY] += asked > len(sheet.turn.messages)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Committer, "_fail", failed)
        patch.setattr(Failures, "abandon", abandoned)
        patch.setattr(Committer, "retire", retired)
        patch.setattr(steering, "tell_parent_again", told)
        patch.setattr(turn, "drop_answered", dropped)
        yield

"""E6: one turn at a time for an instance, and commits in the order of its turns.

A `TurnLog` sees each turn as the committer gets it, and each write as it reaches the disk. It holds that

* no turn begins within another;
* no activation takes a turn while a commit of another activation of the same instance is under way;
* a turn has the date of its machine (E9), and asks for nothing that its instance does not wait for (E5);
* no write reaches the disk of an activation that another has followed, nor one before an earlier write of the same.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from perdure.actors.hosting.activation import Activation
from perdure.actors.hosting.committer import Committer, TakenTurn
from perdure.actors.hosting.release import Release
from perdure.actors.hosting.turn_loop import TurnLoop
from perdure.actors.store.contract import Write
from perdure.actors.turn import Turn
from perdure.runtime.directory import WORKFLOW
from perdure.runtime.instance.message import Invoke
from perdure.testing.simulation.loop import HOST

from .broken import Broken


class LoggedTurn(NamedTuple):
    """A turn whose write is not on the disk yet, as far as is known."""

    activation: Activation
    turn: Turn
    life: int


class TurnLog:
    """The turns of a world.

    Args:
        now_us: The date of its machine; Unix time, microseconds.
        heard: Called with each turn that writes, once its host knows that the write is on the disk.
        own: Whether a type of actors is that of the instances it sees.

    Attributes:
        turns: How many were taken.
        life: The life whose turn is under way, or was last.
    """

    def __init__(
        self, now_us: Callable[[], int], heard: Callable[[Turn], None], own: Callable[[str], bool] = WORKFLOW.__eq__
    ) -> None:
        self._own = own
        self._now_us = now_us
        self._heard = heard
        self.turns = 0
        self.life = 0
        # By life and instance: a host that has lost an instance may take turns until it hears of that.
        self._last: dict[tuple[int, str], LoggedTurn] = {}  # the newest turn that changes it
        self._pending: dict[tuple[int, str], list[LoggedTurn]] = {}
        self._under_way: str | None = None
        self._found: Broken | None = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """See all turns until the block ends."""
        add, take, release = Committer.add, TurnLoop._take_turn, Release.release
        log = self

        def added(self: Committer, activation: Activation, turn: Turn, envelopes: Any, now_us: int) -> None:
            if log._own(activation.address.type):
                log._taken(self, activation, turn, now_us)
            add(self, activation, turn, envelopes, now_us)

        def taken(self: TurnLoop, activation: Activation) -> None:
            if log._under_way is not None:
                log._tell(f"a turn of {activation.address.id} begins within one of {log._under_way}")
            log._under_way, log.life = activation.address.id, HOST.get()
            try:
                take(self, activation)
            finally:
                log._under_way = None

        def released(self: Release, group: Sequence[TakenTurn]) -> None:
            release(self, group)
            for each in group:
                if each.write is not None:
                    log._heard(each.turn)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Committer, "add", added)
            patch.setattr(Release, "release", released)
            patch.setattr(TurnLoop, "_take_turn", taken)
            yield

    def check(self) -> None:
        """Raise the first finding since the last check.

        Raises:
            Broken: E5, E6, E9.
        """
        found, self._found = self._found, None
        if found is not None:
            raise found

    def is_newest(self, logged: LoggedTurn) -> bool:
        """Whether a turn is the newest of its instance, in its life."""
        return self._last[logged.life, logged.activation.address.id].turn is logged.turn

    def committed(self, write: Write, life: int) -> LoggedTurn | None:
        """Note that a write of a life is on the disk.

        Returns:
            The turn that has made it; None: no turn has, or it is a further one of a turn.

        Raises:
            Broken: E6.
        """
        self.check()
        id_ = write.address.id
        waiting = self._pending.get((life, id_), [])
        # They share the list, whatever is in it. A turn that appends several entries has one write that does.
        at = next((n for n, each in enumerate(waiting) if each.turn.reminders_set is write.reminders_set), None)
        if at is None:
            return None
        logged = waiting[at]
        before = [each for each in waiting[:at] if each.activation is logged.activation]
        if before:
            raise Broken("E6", f"a turn of {id_} is on the disk, and an earlier one of the same activation is not")
        if self._last[life, id_].activation is not logged.activation:
            raise Broken("E6", f"a turn of {id_} is on the disk after another activation has taken one")
        del waiting[: at + 1]
        return logged

    def _taken(self, committer: Committer, activation: Activation, turn: Turn, now_us: int) -> None:
        if now_us != self._now_us():
            what = f"a turn of {activation.address.id} is taken {now_us - self._now_us()} us from the date"
            self._found = self._found or Broken("E9", what)
        id_, life = activation.address.id, HOST.get()
        self._check_wanted(activation, turn)
        self.turns += 1
        last = self._last.get((life, id_))
        if last is not None and last.activation is not activation:
            flying = (each.activation for each in committer._flushing if each.write is not None)
            # One that was dropped is of a shard that was lost: what it has written is settled by now, or void.
            if not last.activation.dropped and any(each is last.activation for each in flying):
                self._tell(f"{id_} takes a turn while the commit of another activation of it is under way")
            # What is left of the former was undone.
            self._pending.pop((life, id_), None)
        if turn.writes():
            logged = self._last[life, id_] = LoggedTurn(activation, turn, life)
            self._pending.setdefault((life, id_), []).append(logged)

    def _check_wanted(self, activation: Activation, turn: Turn) -> None:
        """E5: a turn asks for no activity that its instance does not wait for any more."""
        actor: Any = activation.actor
        for _, body in turn.messages:
            if isinstance(body, Invoke) and body.task_id not in actor.open.tasks:
                what = f"a turn of {activation.address.id} asks for {body.name} ({body.task_id}), and has its answer"
                self._found = self._found or Broken("E5", what)

    def _tell(self, what: str) -> None:
        self._found = self._found or Broken("E6", what)

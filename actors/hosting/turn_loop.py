"""The turn loop: takes turns, one actor after the other.

The rule: a turn never awaits, and it runs outside of any task. Its effects follow
after its commit, apart from its early messages.

`actors/hosting/host.py` runs the loop; `actors/hosting/mailroom.py` fills the queue.
"""

from collections.abc import Callable, Mapping

import anyio

from ...journal.journal import Journal
from ...journal.vocabulary import TURN_SLOW
from ..clock import Clock
from ..errors import ActorFailed
from ..turn import Turn
from ..waiting.ownership import CodeOwner, context_of
from ..waiting.taskless import no_current_task
from .activation import Activation
from .committer import Committer
from .failures import Failures
from .flight_record import Flights
from .mailroom import Mailroom
from .release import Route


class TurnLoop:
    """Takes the turns of all actors that are runnable.

    Args:
        routes: The functions that take early messages, by type of address.
        committer: Takes the turns; its stopwatch says when a slice is over.
        clock: Its wall clock is the time of turns. It may go back: the order of turns is that of the log.
        flight: Notes the turn under way.
        journal: Logs slow turns.
    """

    # Turns run for at most this time before connections and timers run in the event loop.
    TURNS_SLICE_S = 0.005
    # A turn that exceeds the slice by this time is logged.
    SLOW_S = 0.25

    def __init__(
        self,
        mailroom: Mailroom,
        failures: Failures,
        committer: Committer,
        routes: Mapping[str, Route],
        clock: Clock,
        flight: Flights | None = None,
        *,
        journal: Journal,
    ) -> None:
        self._work = mailroom.work
        self._runnable = mailroom.runnable
        self._failures = failures
        self._committer = committer
        self._stopwatch = committer.stopwatch
        self._routes = routes
        self._now_us = clock.now_us
        self._flight = flight
        self._journal = journal.at(__name__)
        self._as_user: Callable[..., Turn] = context_of(CodeOwner.USER).run  # calls the turns of this slice
        self.blocked_told = False  # set by another thread: the turn under way is logged already
        self.halted = False  # no more turns are taken
        self._over = False  # no turns will ever be taken again
        self.turns = 0  # taken since the start

    async def run(self) -> None:
        """Take turns, until cancelled."""
        while True:
            await self._work.wait()
            while self._runnable and not self.halted:
                self._take_slice()
                if self._runnable:
                    await anyio.lowlevel.checkpoint()

    def pause(self, paused: bool) -> None:
        """Stop taking turns for now, or go on."""
        self.halted = paused or self._over
        self._work.set()

    def halt(self) -> None:
        """Stop taking turns for good."""
        self.halted = self._over = True

    def _take_slice(self) -> None:
        """Take turns until the slice is over, or no actor is runnable."""
        ends_s = self._stopwatch() + self.TURNS_SLICE_S
        # One context for the turns of a slice: marking the present context for each turn costs ten times as much.
        self._as_user = context_of(CodeOwner.USER).run
        with no_current_task():
            while self._runnable and not self.halted:
                activation = self._runnable.popleft()
                self._take_turn(activation)
                # The slice was not over before this turn, so this turn has caused the excess.
                now_s = self._committer.turn_over_s = self._stopwatch()
                if (over_s := now_s - ends_s) > 0:
                    if over_s > self.SLOW_S:
                        self._tell_slow(activation, over_s)
                    break
        if self._flight is not None:
            self._flight.turns_over()

    def _tell_slow(self, activation: Activation, took_s: float) -> None:
        told, self.blocked_told = self.blocked_told, False
        if told:
            return
        fields = activation.actor.log_fields if activation.actor is not None else {}
        self._journal.write(
            TURN_SLOW, **{"instance_id": activation.address.id, **fields}, duration_ms=round(took_s * 1e3)
        )

    def _take_turn(self, activation: Activation) -> None:
        activation.runnable = False
        if activation.dropped:
            return
        assert activation.actor is not None
        envelopes = activation.take()
        now_us = self._now_us()
        flight = self._flight
        if flight is not None:
            flight.turn_begins(activation.address)
        try:
            turn = self._as_user(activation.actor.turn, envelopes, now_us)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._failures.tell_broken(activation, error)
            self._failures.abandon(activation, envelopes, ActorFailed(activation.address, error))
            return
        self.turns += 1
        if activation.failures and (turn.entry is not None or turn.record is not None):
            activation.failures = 0
        if flight is not None and flight.suspects and turn.entry is not None:
            flight.turn_ended(activation.address)
        for address, _ in turn.messages:
            if address.type not in self._routes:
                activation.unacknowledged += 1
        self._committer.add(activation, turn, envelopes, now_us)
        for address, body in turn.early:
            self._routes[address.type](address, body)

"""Failures: activations whose load, turn or commit failed, and when they are tried again.

The rule: no message is lost by a failure. The reply of a message gets the error;
a message without a reply is delivered again to a fresh activation, after a pause.
An actor that fails by itself is tried three times and is then stalled, visibly. An actor whose turns break is stalled
by a turn with the message that sets it aside; an actor that cannot be loaded is stalled in memory only. After a restart
a stalled actor is tried once. The flight record remembers the actors that cannot be loaded, so a host without a record
tries those three times.
An actor with an active mark recovers as after a restart, so that no mark outlives its reason.

`actors/hosting/loader.py`, `actors/hosting/turn_loop.py` and `actors/hosting/committer.py` report failures.
"""

from collections.abc import Callable, Sequence
from math import inf

import anyio

from ...journal.journal import Journal
from ...journal.vocabulary import INSTANCE_STALLED, INSTANCE_UNREADABLE, TURN_BROKE
from ..address import Address
from ..errors import ActorFailed, PerdureError
from ..store.errors import StoreDamaged, StoreError
from ..text import described, type_name
from ..turn import RECOVER, Envelope, SetAside
from ..waiting.signal import Signal
from ..waiting.taskless import no_current_task
from .activation import Activation
from .committer import TakenTurn
from .flight_record import FlightRecord
from .mailroom import Mailroom


class Failures:
    """The activations that wait for a pause until they are tried again.

    Args:
        failing: Whether the store fails commits at present.
        stalled: Called with each actor that is stalled in memory from now on.
        journal: Logs each actor that fails by itself, once.
        flight: Remembers over restarts which actors could not be read: those are tried once.
    """

    # Pause before an activation that failed because of the store is tried again: doubled up to the maximum.
    RETRY_MIN_S = 0.1
    RETRY_MAX_S = 5.0
    # An actor that fails by itself is tried TRIES times, with these pauses between, and is then stalled.
    TRIES = 3
    FAILED_S = 5.0  # doubled after each try
    FAILED_MAX_S = 300.0
    TOLD_MAX = 10_000  # unreadable actors that are logged

    def __init__(
        self,
        mailroom: Mailroom,
        *,
        failing: Callable[[], bool],
        stalled: Callable[[Address], None] = lambda _: None,
        journal: Journal,
        flight: FlightRecord | None = None,
    ) -> None:
        self._mailroom = mailroom
        self._flight = flight
        self._failing = failing
        self._stalled = stalled
        self._journal = journal.at(__name__)
        self._told: set[Address] = set()  # the unreadable actors that were logged
        self._parked: list[tuple[float, Activation]] = []  # when to try again (event loop's clock), activation
        self._parking = Signal()
        self._pause_s = self.RETRY_MIN_S

    @property
    def parked(self) -> list[Activation]:
        """The activations that wait to be tried again."""
        return [activation for _, activation in self._parked]

    def undo(self, void: Sequence[TakenTurn], error: StoreError) -> None:
        """Drop the activations whose turns did not become durable, and deliver their messages again."""
        again: dict[int, tuple[Activation, list[TakenTurn]]] = {}
        for taken in void:
            taken.activation.uncommitted -= 1
            again.setdefault(id(taken.activation), (taken.activation, []))[1].append(taken)
        for activation, turns in again.values():
            envelopes = [envelope for taken in turns for envelope in taken.envelopes]
            self.abandon(activation, envelopes, error, marked=_was_marked(activation, turns))

    def abandon(
        self, activation: Activation, envelopes: Sequence[Envelope], error: PerdureError, *, marked: bool = False
    ) -> None:
        """Drop an activation and put a successor in its place.

        Args:
            envelopes: The messages of the turns that are void. Their replies get the
                error; the successor gets the messages without a reply, and the mailbox.
            marked: The store has its active mark, perhaps because the commit that was to take it away has failed. The
                successor recovers first: otherwise the mark could stay until the next start, which wakes the actor.
        """
        kept = [envelope for envelope in envelopes if not envelope.refuse(error)]
        if marked:
            kept.insert(0, Envelope(RECOVER))
        mailroom = self._mailroom
        if activation.dropped:
            # A later turn of the activation broke while this turn was being written; the successor waits for the write.
            successor = mailroom.activations.get(activation.address) or mailroom.activate(activation.address)
            successor.mailbox[:0] = kept
            successor.unmark |= marked
            return
        activation.dropped = True
        with no_current_task():
            mailroom.remove(activation)
        successor = Activation(activation.address, activation.shard)
        successor.predecessor = activation
        successor.failures = activation.failures
        if activation.actor is not None and activation.actor.was_stalled:
            successor.failures = max(successor.failures, self.TRIES - 1)
        successor.unmark = marked
        # In the table at once, so that later messages queue up behind.
        mailroom.activations.add(successor)
        successor.mailbox.extend(kept)
        successor.mailbox.extend(activation.mailbox)
        activation.mailbox.clear()
        self._park(successor, error, loaded=True)

    def not_loaded(self, activation: Activation, error: PerdureError) -> None:
        """Answer the callers of an activation that could not be loaded, and park it with the other messages."""
        if isinstance(error, ActorFailed | StoreDamaged) and self._mailroom.is_purged(activation):
            self._stall(activation, error, loaded=False)
            return
        if isinstance(error, ActorFailed | StoreDamaged):
            self._tell_unreadable(activation.address, error)
        waiting = activation.take()
        activation.mailbox.extend(envelope for envelope in waiting if not envelope.refuse(error))
        self._park(activation, error, loaded=False)

    async def run(self) -> None:
        """Load again the activations whose pause is over, until cancelled."""
        while True:
            if not self._parked:
                await self._parking.wait()
            now = anyio.current_time()
            self._load_due(now)
            failing = self._failing()
            self._pause_s = min(2 * self._pause_s, self.RETRY_MAX_S) if failing else self.RETRY_MIN_S
            if self._parked:
                await self._parking.wait_for(min(due for due, _ in self._parked) - now)

    def retry_now(self) -> None:
        """End all pauses: the host is stopping."""
        self._load_due(inf)

    def _load_due(self, now: float) -> None:
        parked, self._parked = self._parked, []
        for due, activation in parked:
            if activation.dropped:
                continue  # its shard has left
            if due > now:
                self._parked.append((due, activation))
            elif activation.awaits_predecessor:
                self._parked.append((due if now == inf else now + self.RETRY_MIN_S, activation))
            else:
                activation.predecessor = None
                self._mailroom.loader.add(activation)

    def _park(self, activation: Activation, error: PerdureError, *, loaded: bool) -> None:
        """Park an activation for a pause; remove it if no message waits for it."""
        if not activation.mailbox and not activation.awaits_predecessor:
            activation.dropped = True
            self._mailroom.activations.remove(activation)
            return
        pause_s = self._pause_s
        if isinstance(error, ActorFailed | StoreDamaged):
            # The cause is a bug or an unreadable row: the next attempt will most likely fail too.
            activation.failures += 1
            if not loaded and self._flight is not None and self._flight.was_unreadable(activation.address):
                activation.failures = max(activation.failures, self.TRIES)
            pause_s = min(self.FAILED_S * 2 ** (activation.failures - 1), self.FAILED_MAX_S)
            if activation.failures >= self.TRIES and self._stall(activation, error, loaded=loaded):
                return
            if activation.failures == self.TRIES:
                pause_s = 0.0
        self._parked.append((anyio.current_time() + pause_s, activation))
        self._parking.set()

    def _tell_unreadable(self, address: Address, error: ActorFailed | StoreDamaged) -> None:
        """Log an actor that cannot be read: once, however many messages come for it."""
        if address in self._told or len(self._told) >= self.TOLD_MAX:
            return
        self._told.add(address)
        # This release cannot read the rows of the store: a bug, so the traceback helps.
        cause = error.cause if isinstance(error, ActorFailed) else None
        self._journal.write(
            INSTANCE_UNREADABLE,
            exc_info=cause,
            instance_id=address.id,
            reason=described(cause) if cause is not None else str(error),
            error_type=type_name(cause or error),
        )

    def tell_broken(self, activation: Activation, error: BaseException) -> None:
        """Log a turn that has broken, with the traceback if it is the first of its actor."""
        assert activation.actor is not None
        self._journal.write(
            TURN_BROKE,
            exc_info=error if activation.failures == 0 else None,
            **{"instance_id": activation.address.id, **activation.actor.log_fields},
            reason=described(error),
            error_type=type_name(error),
        )

    def _stall(self, activation: Activation, error: ActorFailed | StoreDamaged, *, loaded: bool) -> bool:
        """Stall an actor that was tried often enough.

        Returns:
            Whether it stays in memory as stalled; False: it is loaded once more, for a turn that sets it aside.
        """
        if not loaded:
            if isinstance(error, StoreDamaged):
                activation.key = error.key
            reason = str(error.cause) if isinstance(error, ActorFailed) else error.stall
            why = f"it cannot be read: {reason}" if isinstance(error, ActorFailed) else reason
            self._journal.write(
                INSTANCE_STALLED, instance_id=activation.address.id, of="", reason=why, stall="UNREADABLE"
            )
            self._mailroom.stall(activation, reason)
            self._stalled(activation.address)
            if self._flight is not None:
                self._flight.is_unreadable(activation.address)
            return True
        assert isinstance(error, ActorFailed)
        cause = error.cause
        reason = (
            f"its turn broke {activation.failures} times in a row, for a reason of the engine: "
            f"{described(cause)}. It is tried again after a restart, and after a release."
        )
        # The same message would break it again. A restart finds all messages once more: activities are requested again,
        # reminders are in the store, and messages of other actors count as unacknowledged with their senders.
        activation.take()
        activation.mailbox.append(Envelope(SetAside(reason, until_restart=True)))
        return False


def _was_marked(activation: Activation, void: Sequence[TakenTurn]) -> bool:
    """Whether the store had the active mark of an actor before the void turns."""
    for taken in void:
        write = taken.write
        if write is not None and write.active is not None:
            # A turn sets the mark only if it is not set, and takes it away only if it is.
            return not write.active
        if write is not None and write.delete:
            # The write takes the mark away too, and does not show whether there was one. Recovering needlessly is safe.
            return not taken.creates
    return activation.active

"""The release of turns: their effects, once the commit that holds them is durable.

The rule: effects happen in the order of the turns. For each turn, the senders of its
messages are notified that a commit holds them, its replies are filled, its messages
are delivered, its reminders are set, its watchers wake, and readers of changes get the
changes of lists.

`actors/hosting/committer.py` calls `release` with each group.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...journal.journal import Journal
from ..address import Address
from ..cluster.changes import Change, Ring
from ..reminders.loop import ReminderLoop
from ..store.contract import Reminder, Write
from ..store.listing import Facets
from ..turn import Envelope, Receipt
from ..waiting.taskless import no_current_task
from ..waiting.watch import Watches
from .activation import Activation
from .committer import TakenTurn
from .mailroom import Mailroom

Route = Callable[[Address, Any], None]

NAMES_MAX = 1000  # names whose actors a host counts; a caller may make up any name


@dataclass(slots=True)
class Tallies:
    """How many actors have begun and ended here since the host began, as lists show them."""

    began: dict[tuple[str, str], int] = field(default_factory=dict)  # by type and name
    ended: dict[tuple[str, str, str], int] = field(default_factory=dict)  # by type, name and status


class Release:
    """Carries out the effects of turns, and removes activations if there are too many.

    Args:
        routes: By type of address, the functions that take messages to other addresses than actors.
        changes: Takes the changes of lists, while they have a reader.
        retire: Takes the active mark from an actor that has nothing in flight.
        journal: Writes the notes of turns, under the name that the maker of the host has given it.
    """

    def __init__(
        self,
        mailroom: Mailroom,
        routes: Mapping[str, Route],
        reminders: ReminderLoop,
        watches: Watches,
        changes: Ring,
        *,
        retire: Callable[[Activation], None],
        journal: Journal,
    ) -> None:
        self._mailroom = mailroom
        self._routes = routes
        self._reminders = reminders
        self._watches = watches
        self._changes = changes
        self._retire = retire
        self.tallies = Tallies()
        self._journal = journal

    def release(self, group: Sequence[TakenTurn]) -> None:
        """Carry out the effects of turns that are durable."""
        for taken in group:
            activation, turn = taken.activation, taken.turn
            activation.uncommitted -= 1
            for envelope in taken.envelopes:
                if (sender := envelope.sender) is not None:
                    self.acknowledge(sender)
            for reply, answer in turn.replies:
                if isinstance(answer, BaseException):
                    reply.fail(answer)
                else:
                    reply.succeed(answer)
            for address, body in turn.messages:
                self._dispatch(activation, address, body)
            for _ in range(turn.called_off):  # no commit will hold these messages
                self.acknowledge(activation)
            if taken.write is not None:
                self._announce(taken)
            for note in turn.notes:
                self._journal.note(note)
        self._evict()

    def acknowledge(self, sender: Activation | Receipt) -> None:
        """Notify the sender of a message that a commit of the receiver holds it."""
        if not isinstance(sender, Activation):
            sender.give()
            return
        sender.unacknowledged -= 1
        if sender.quiet and sender.active and not sender.in_flight and not sender.dropped:
            self._retire(sender)

    def _dispatch(self, sender: Activation, address: Address, body: Any) -> None:
        route = self._routes.get(address.type)
        if route is not None:
            route(address, body)
        else:
            self._mailroom.deliver(address, Envelope(body, None, sender))

    def _announce(self, taken: TakenTurn) -> None:
        """Notify the reminder loop and the watchers of the changes of a commit."""
        write = taken.write
        assert write is not None
        activation = taken.activation
        if taken.turn.earlier:
            activation.forget_outside()
        else:
            activation.committed(write, creates=taken.creates)
        if write.reminders_cleared or write.reminders_set:
            self._remind(taken, write)
        if write.record is not None or write.delete:
            self._announce_change(taken, write)

    def _announce_change(self, taken: TakenTurn, write: Write) -> None:
        """Notify the readers of changes and the watchers that the record of an actor was changed or deleted."""
        if write.facets is not None:
            self._tally(write, write.facets)
        if self._changes.open and (write.facets is not None or write.delete):
            change = Change(write.address, write.facets, write.record, taken.facets_before, taken.creates)
            self._changes.publish(change)
        if write.delete and taken.activation.stalled is not None:
            self._mailroom.reload(taken.activation)
        for watch in self._watches.get(write.address, ()):
            watch.committed(write.record, deleted=write.delete)

    def _tally(self, write: Write, facets: Facets) -> None:
        """Count an actor that has begun or ended.

        A copied actor, which has ended at an earlier time, has neither begun nor ended here.
        """
        updated_us = facets.updated_us
        if updated_us != write.at_us:
            return
        began, ended = self.tallies.began, self.tallies.ended
        key = write.address.type, facets.name
        if facets.created_us == updated_us and (key in began or len(began) < NAMES_MAX):
            began[key] = began.get(key, 0) + 1
        if facets.ended_us is not None and (key in began or len(ended) < NAMES_MAX):
            end = (*key, facets.status)
            ended[end] = ended.get(end, 0) + 1

    def _remind(self, taken: TakenTurn, write: Write) -> None:
        """Give the reminder loop the reminders that a commit has cleared and set."""
        for name, due_us in write.reminders_cleared:
            self._reminders.clear(Reminder(due_us, write.key, name, write.address))
        reminders_from_us = taken.turn.reminders_from_us or write.at_us
        for name, due_us in write.reminders_set:
            self._reminders.set(Reminder(due_us, write.key, name, write.address), reminders_from_us)

    def _evict(self) -> None:
        with no_current_task():
            for activation in self._mailroom.activations.surplus():
                if activation.active and not activation.in_flight:
                    # The mark is taken away first; the activation is removed when that is durable.
                    self._retire(activation)
                else:
                    self._mailroom.remove(activation)

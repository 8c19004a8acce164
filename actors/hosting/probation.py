"""Probation: the suspects of the last end run one at a time, and culprits are set aside.

The rule: a suspect takes no turn before it has the floor, so that none of its work begins. All other actors recover at
once. Until then a message for a suspect waits in its mailbox, and its caller waits too.

`actors/hosting/quarantine.py` decides which actors are suspect, and for how long; `actors/hosting/host.py` runs the
loop.
"""

from collections.abc import Callable, Mapping, Sequence

import anyio

from ...journal.journal import Journal
from ...journal.vocabulary import INSTANCE_SUSPECT, SUSPECTS_FOUND
from ..address import Address
from ..cluster.placement import Placement
from ..instruments import Chance
from ..turn import Envelope, SetAside
from ..waiting.signal import Signal
from .flight_record import FlightRecord, Flights
from .mailroom import Mailroom
from .quarantine import Suspect, reason_of

BY_REQUEST = (
    "set aside by request when the process was started. Nothing of it begins until it is released "
    "(`perdure repair ID release`, or `perdure store release ID` while no daemon has the store)."
)


GROUPS = 8  # more suspects than these have the floor together with others


class Probation:
    """Lets one suspect after the other run.

    Args:
        record: The flight record of the process before this one; None: no actor is suspect at the start.
        flights: Knows the suspects; a record, or the notes of a host that shares its store. None: no actor is suspect.
        set_aside: Actors to set aside in any case.
        chance: Spreads the pauses before a trial.
        journal: Logs suspects. The turn that sets an actor aside is logged by the actor.
    """

    # How long the host waits for these turns before it serves. It serves even if the store fails: the message stays
    # first in the mailbox.
    SET_ASIDE_S = 5.0

    def __init__(
        self,
        record: FlightRecord | None,
        flights: Flights | None,
        mailroom: Mailroom,
        placement: Placement,
        *,
        set_aside: Sequence[Address] = (),
        chance: Chance,
        journal: Journal,
    ) -> None:
        self._record = record
        self._flights = flights
        self._mailroom = mailroom
        self._placement = placement
        self._set_aside = set_aside
        self._chance = chance
        self._journal = journal.at(__name__)
        self._waiting: set[Address] = set()  # to be set aside by a turn that is not committed yet
        self._trials: dict[Address, Suspect] = {}  # the suspects, in the order in which they are tried
        self._more = Signal()

    def open(self) -> None:
        """Open the record and keep suspects from taking turns. To be called before a message can reach an actor."""
        self._condemn_own(self._placement.owns)
        if self._record is None:
            return
        self._record.open()
        # A name with only a part of the id is looked for among the actors that had work in flight.
        names = {self._record.name(address): address for address in self._mailroom.unrecovered if len(address.id) > 40}
        found: list[tuple[Address, Suspect]] = []
        for suspect in list(self._record.suspects):
            address = self._record.address_of(suspect.name) or names.get(suspect.name)
            if address is None or not self._placement.owns(address):
                self._record.clear(suspect.name)
            else:
                found.append((address, suspect))
        self._try(found)

    def come(self, found: Sequence[tuple[Address, Suspect]]) -> None:
        """Before shards are opened, keep their suspects from taking turns, and set aside the condemned ones."""
        self._try(found)
        for address, suspect in found:
            if suspect.condemned and self._mailroom.activations.peek(address) is None:
                self._mailroom.activate(address)

    def leave(self, has: Callable[[Address], bool]) -> None:
        """Forget suspects whose shards have left."""
        for address in [address for address in self._trials if has(address)]:
            del self._trials[address]
            self._mailroom.suspended.pop(address, None)
        condemned = self._mailroom.condemned
        for address in [each for each in condemned if has(each) and not condemned[each].body.requested]:
            del condemned[address]

    def _try(self, found: Sequence[tuple[Address, Suspect]]) -> None:
        """Have suspects wait for the floor, and condemn culprits."""
        trials: dict[Address, Suspect] = {}
        for address, suspect in found:
            if suspect.condemned:
                self._condemn(address, reason_of(suspect))
                trials.pop(address, None)
            elif address not in self._mailroom.condemned:
                known = trials.get(address, suspect)
                longest = max(suspect.took_s, known.took_s)
                strongest = max(known, suspect, key=lambda each: (each.alone, each.early, each.ends))
                trials[address] = strongest._replace(took_s=longest)
        self._mailroom.suspended.update(dict.fromkeys(trials))
        if trials:
            ids = ", ".join(address.id for address in list(trials)[:10])
            self._journal.write(SUSPECTS_FOUND, found=len(trials), ids=ids)
            self._trials.update(trials)
            self._more.set()

    def take_up(self, is_open: Callable[[Address], bool]) -> None:
        """Set aside the actors named for it whose shards have come. Called for each shard, where shards come and go.

        Args:
            is_open: Whether the shard of an actor is open here: its actors with work in flight are known then.
        """
        for address in self._condemn_own(is_open):
            if self._mailroom.activations.peek(address) is None:
                self._mailroom.activate(address)

    def _condemn_own(self, is_own: Callable[[Address], bool]) -> Sequence[Address]:
        """Condemn the actors of this host that are to be set aside, each once in this process."""
        own = [address for address in self._set_aside if is_own(address)]
        self._set_aside = [address for address in self._set_aside if address not in own]
        for address in own:
            self._condemn(address, BY_REQUEST, requested=True)
        return own

    async def set_aside(self) -> None:
        """Set aside the actors named for it, before a caller looks at them."""
        self._waiting = set(self._mailroom.condemned)
        for address in self._mailroom.condemned:
            if self._mailroom.activations.peek(address) is None:
                self._mailroom.activate(address)
        with anyio.move_on_after(self.SET_ASIDE_S):
            while self._waiting:  # noqa: ASYNC110  milliseconds, once
                await anyio.sleep(0.001)

    async def run(self) -> None:
        """Give the floor to one suspect after the other, until cancelled."""
        if self._flights is None:
            return
        while True:
            while self._trials:
                await self._hear(self._flights, self._next())
            await self._more.wait()

    def _next(self) -> Sequence[Address]:
        """Choose which suspects have the floor next: one, or a group if there are very many.

        Hosts that share a store note work before it begins, so a host that is killed with much work under way may leave
        very many suspects. Trying an eighth of them at a time is faster, and costs one more end to find a culprit.
        """
        # The suspect that is nearest to a decision is tried first.
        order = sorted(self._trials, key=lambda address: self._trials[address].alone, reverse=True)
        if self._record is not None or self._trials[order[0]].alone:
            return order[:1]
        return order[: -(-len(order) // GROUPS)]

    async def _hear(self, flights: Flights, addresses: Sequence[Address]) -> None:
        """Give the floor to suspects."""
        if pause_s := self._trials[addresses[0]].pause_s(int.from_bytes(self._chance(4), "big") / 2**32):
            self._journal.write(INSTANCE_SUSPECT, instance_id=addresses[0].id, pause_s=pause_s)
            await anyio.sleep(pause_s)
        heard = {address: suspect for address in addresses if (suspect := self._trials.pop(address, None)) is not None}
        if not heard:
            return  # their shards have left
        for address, suspect in heard.items():
            flights.tries(suspect.name)
            self._mailroom.let(address)
        with anyio.move_on_after(max(suspect.floor_s for suspect in heard.values())):
            while self._are_under_way(flights, heard):
                await flights.cleared.wait()
        for suspect in heard.values():
            flights.heard(suspect.name)

    def _are_under_way(self, flights: Flights, heard: Mapping[Address, Suspect]) -> bool:
        """Whether any of these suspects may still end this process."""
        names = {suspect.name for suspect in flights.suspects}
        return any(suspect.name in names and self._mailroom.has(address) for address, suspect in heard.items())

    def _condemn(self, address: Address, reason: str, *, requested: bool = False) -> None:
        message = SetAside(reason, requested=requested)
        self._mailroom.condemned[address] = Envelope(message, None, _Verdict(self, address))

    def carried_out(self, address: Address) -> None:
        """Note that a commit holds the message that sets an actor aside."""
        self._waiting.discard(address)
        activation = self._mailroom.activations.peek(address)
        if activation is not None and activation.key is None:
            # The actor does not exist. It is set aside as soon as it is created, so the message comes first in its next
            # turn too.
            if activation.idle:
                self._mailroom.activations.remove(activation)
            else:
                activation.mailbox.insert(0, self._mailroom.condemned[address])
            return
        self._mailroom.condemned.pop(address, None)
        if self._flights is not None:
            self._flights.clear_actor(address)


class _Verdict:
    """The sender of the message that sets an actor aside; it is notified once a commit holds the message."""

    def __init__(self, probation: Probation, address: Address) -> None:
        self._probation = probation
        self._address = address

    def give(self) -> None:
        self._probation.carried_out(self._address)

"""Probation: the suspects of the last end run one at a time, and culprits are set aside.

The rule: a suspect takes no turn before it has the floor, so that nothing of it begins. All other actors recover at
once. A message that arrives for a suspect meanwhile waits in its mailbox, and callers wait with it.

`actors/hosting/quarantine.py` decides who is suspect and for how long; `actors/hosting/host.py` runs the loop.
"""

from collections.abc import Sequence

import anyio

from ...journal.journal import Journal
from ...journal.vocabulary import INSTANCE_SUSPECT, SUSPECTS_FOUND
from ..address import Address
from ..cluster.placement import Placement
from ..instruments import Chance
from ..turn import Envelope, SetAside
from .flight_record import FlightRecord, id_of, name_of
from .mailroom import Mailroom
from .quarantine import Suspect, reason_of

BY_REQUEST = (
    "set aside by request when the process was started. Nothing of it begins until it is released "
    "(`perdure repair ID release`, or `perdure store release ID` while no daemon has the store)."
)


class Probation:
    """Lets one suspect after the other run.

    Args:
        record: None: nobody is suspect.
        set_aside: Actors to set aside in any case.
        chance: Spreads the pauses before a trial.
        journal: Is told of suspects. That one is set aside its own turn tells.
    """

    # How long the host waits before it serves. If the store fails, it goes on: the message stays first in the mailbox.
    SET_ASIDE_S = 5.0

    def __init__(
        self,
        record: FlightRecord | None,
        mailroom: Mailroom,
        placement: Placement,
        *,
        set_aside: Sequence[Address] = (),
        chance: Chance,
        journal: Journal,
    ) -> None:
        self._record = record
        self._mailroom = mailroom
        self._placement = placement
        self._set_aside = set_aside
        self._chance = chance
        self._journal = journal.at(__name__)
        self._waiting: set[Address] = set()  # to be set aside, and not in a commit yet
        self._trials: dict[Address, Suspect] = {}  # the suspects, in the order in which they are tried

    def open(self) -> None:
        """Open the record and keep suspects from taking turns. To be called before a message can reach an actor."""
        self._condemn_own()
        if self._record is None:
            return
        self._record.open()
        # A name with only a part of the id belongs to one of the actors that had work in flight, or cannot be found.
        names = {name_of(address.id): address for address in self._mailroom.unrecovered if len(address.id) > 40}
        for suspect in list(self._record.suspects):
            found = self._address_of(suspect.name, names)
            if found is None or not self._placement.owns(found):
                self._record.clear(suspect.name)
                continue
            address = found
            if suspect.condemned:
                self._condemn(address, reason_of(suspect))
                self._trials.pop(address, None)
            elif address not in self._mailroom.condemned:
                known = self._trials.get(address, suspect)
                longest = max(suspect.took_s, known.took_s)
                strongest = max(known, suspect, key=lambda each: (each.alone, each.early, each.ends))
                self._trials[address] = strongest._replace(took_s=longest)
        self._mailroom.suspended.update(dict.fromkeys(self._trials))
        if self._trials:
            ids = ", ".join(address.id for address in list(self._trials)[:10])
            self._journal.write(SUSPECTS_FOUND, found=len(self._trials), ids=ids)

    def take_up(self) -> None:
        """Set aside actors that are to be and whose shards have come. Where shards come and go it is called at each."""
        for address in self._condemn_own():
            if self._mailroom.activations.peek(address) is None:
                self._mailroom.activate(address)

    def _condemn_own(self) -> Sequence[Address]:
        """Condemn the actors that are to be set aside and are here, each once in this process."""
        own = [address for address in self._set_aside if self._placement.owns(address)]
        self._set_aside = [address for address in self._set_aside if address not in own]
        for address in own:
            self._condemn(address, BY_REQUEST, requested=True)
        return own

    async def set_aside(self) -> None:
        """Set aside the actors that are to be, before a caller looks at them."""
        self._waiting = set(self._mailroom.condemned)
        for address in self._mailroom.condemned:
            if self._mailroom.activations.peek(address) is None:
                self._mailroom.activate(address)
        with anyio.move_on_after(self.SET_ASIDE_S):
            while self._waiting:  # noqa: ASYNC110  milliseconds, once
                await anyio.sleep(0.001)

    async def run(self) -> None:
        """Give the floor to one suspect after the other."""
        for address, suspect in self._trials.items():
            if pause_s := suspect.pause_s(int.from_bytes(self._chance(4), "big") / 2**32):
                self._journal.write(INSTANCE_SUSPECT, instance_id=address.id, pause_s=pause_s)
                await anyio.sleep(pause_s)
            if self._record is not None:
                self._record.tries(suspect.name)
            self._mailroom.let(address)
            with anyio.move_on_after(suspect.floor_s):
                while self._is_suspect(suspect.name) and self._mailroom.has(address):
                    await self._cleared()
        self._trials = {}

    async def _cleared(self) -> None:
        assert self._record is not None
        await self._record.cleared.wait()

    def _is_suspect(self, name: bytes) -> bool:
        assert self._record is not None
        return any(suspect.name == name for suspect in self._record.suspects)

    def _address_of(self, name: bytes, names: dict[bytes, Address]) -> Address | None:
        assert self._record is not None
        actor_id = id_of(name)
        return Address(self._record.actor_type, actor_id) if actor_id is not None else names.get(name)

    def _condemn(self, address: Address, reason: str, *, requested: bool = False) -> None:
        message = SetAside(reason, requested=requested)
        self._mailroom.condemned[address] = Envelope(message, None, _Verdict(self, address))

    def carried_out(self, address: Address) -> None:
        """The message that sets an actor aside is in a commit."""
        self._waiting.discard(address)
        activation = self._mailroom.activations.peek(address)
        if activation is not None and activation.key is None:
            # It does not exist. It is set aside as soon as it begins, so the message is the first of its next turn too.
            if activation.idle:
                self._mailroom.activations.remove(activation)
            else:
                activation.mailbox.insert(0, self._mailroom.condemned[address])
            return
        self._mailroom.condemned.pop(address, None)
        if self._record is not None:
            self._record.clear(name_of(address.id))


class _Verdict:
    """The sender of the message that sets an actor aside; it is told once a commit holds it."""

    def __init__(self, probation: Probation, address: Address) -> None:
        self._probation = probation
        self._address = address

    def give(self) -> None:
        self._probation.carried_out(self._address)

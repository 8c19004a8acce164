"""Unreadable actors: stand-ins for actors whose rows in the store cannot be read.

The rule: the only write of such an actor is its purge. Callers get an error with the reason; messages without a reply
stay in the mailbox, so that their senders go on counting them as unacknowledged.

`actors/hosting/mailroom.py` puts the stand-in into the activation.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..address import Address
from ..errors import ActorStalled
from ..store.audit import AuditRow
from ..turn import Envelope, Turn


class Unreadable:
    """An actor of which only the address and the reason are known.

    Args:
        exists: Its key in the store is known, so that it can be purged.
        active: Whether it has an active mark. The mark stays, so that a restart tries the actor again.
        purges: Whether a message purges an actor.
        audit: Makes the rows for the audit of such a message, at a time (Unix time, microseconds).
    """

    was_stalled = True
    log_fields: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self,
        address: Address,
        reason: str,
        *,
        exists: bool,
        active: bool,
        purges: Callable[[Any], bool],
        audit: Callable[[Any, int], Sequence[AuditRow]],
    ) -> None:
        self._address = address
        self._reason = reason
        self._exists = exists
        self._active = active
        self._purges = purges
        self._audit = audit

    def turn(self, envelopes: Sequence[Envelope], now_us: int) -> Turn:
        """Purge the actor if a message requests it; answer all others with `ActorStalled`."""
        turn = Turn(busy=self._active)
        for envelope in envelopes:
            purged = self._exists and self._purges(envelope.body)
            if purged and not turn.delete:
                turn.delete = True
                turn.audit = self._audit(envelope.body, now_us)
            answer = None if purged else ActorStalled(self._address, self._reason)
            if envelope.reply is not None:
                turn.replies.append((envelope.reply, answer))
        if turn.delete:
            turn.busy = self._exists = self._active = False
        return turn

    def close(self) -> None:
        """Do nothing: there is no state."""

"""The waiting room: messages that cannot go to their actor yet, because its shard is moving.

The rule: messages wait shard by shard, in the order in which they came. A caller waits at most `wait_s`; a message of
an actor waits until it can go, because its sender relies on its delivery.

The module is pure: it gets the time as an argument. `actors/hosting/shards/gate.py` uses it.
"""

from collections import deque
from collections.abc import Collection, Sequence
from typing import NamedTuple

from ...address import Address
from ...errors import WaitingRoomFull
from ...turn import Envelope


class WaitingMessage(NamedTuple):
    """A message that waits."""

    address: Address
    envelope: Envelope
    new: bool  # as for `Host.ask`
    since_s: float  # by the event loop's clock


class WaitingRoom:
    """The messages that wait, by shard.

    Args:
        messages_max: How many messages may wait for one shard before callers are refused.
        wait_s: How long a caller waits at most; seconds.
    """

    MESSAGES_MAX = 10_000
    WAIT_S = 10.0

    def __init__(self, *, messages_max: int = MESSAGES_MAX, wait_s: float = WAIT_S) -> None:
        self._messages_max = messages_max
        self._wait_s = wait_s
        self._shards: dict[int, deque[WaitingMessage]] = {}  # no deque is empty

    def __len__(self) -> int:
        """How many messages wait."""
        return sum(map(len, self._shards.values()))

    @property
    def shards(self) -> Collection[int]:
        """The shards for which messages wait."""
        return tuple(self._shards)

    def has(self, shard: int) -> bool:
        """Whether a message waits for a shard, so that a later one must wait behind it."""
        return shard in self._shards

    def put(self, shard: int, waiting: WaitingMessage) -> None:
        """Let a message wait.

        Raises:
            WaitingRoomFull: Only for a message with a reply.
        """
        others = self._shards.get(shard, ())
        if waiting.envelope.reply is not None and len(others) >= self._messages_max:
            raise WaitingRoomFull(waiting.address, messages_max=self._messages_max)
        self.put_back(shard, waiting)

    def put_back(self, shard: int, waiting: WaitingMessage) -> None:
        """Put a message back that was taken out, even beyond `messages_max`."""
        others = self._shards.get(shard)
        if others is None:
            self._shards[shard] = deque((waiting,))
        else:
            others.append(waiting)

    def waiting(self, shard: int) -> Sequence[WaitingMessage]:
        """The messages that wait for a shard, in their order."""
        return tuple(self._shards.get(shard, ()))

    def take(self, shard: int) -> Sequence[WaitingMessage]:
        """Take out the messages that wait for a shard, in their order."""
        return tuple(self._shards.pop(shard, ()))

    def take_late(self, now_s: float) -> Sequence[WaitingMessage]:
        """Take out the messages of callers that have waited for too long, shard by shard.

        Args:
            now_s: By the event loop's clock.
        """
        late: list[WaitingMessage] = []
        for shard, waiting in list(self._shards.items()):
            if waiting[0].since_s + self._wait_s > now_s:
                continue  # the first caller came later; a message of an actor before it only causes a second look
            gone = [one for one in waiting if one.envelope.reply is not None and one.since_s + self._wait_s <= now_s]
            late += gone
            left = deque(one for one in waiting if one not in gone) if gone else waiting
            if left:
                self._shards[shard] = left
            else:
                del self._shards[shard]
        return tuple(late)

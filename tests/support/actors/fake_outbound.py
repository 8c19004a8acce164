"""The other hosts as one host sees them: messages to them are kept, and nothing answers."""

from collections.abc import Callable, Collection
from typing import Any

from perdure.actors.address import Address
from perdure.actors.errors import HostUnreachable
from perdure.actors.store.contract import Inspection
from perdure.actors.turn import Envelope
from perdure.actors.waiting.watch import Watch


class FakeOutbound:
    """The connection to one other host."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.connected = True
        self.delivered: list[tuple[Address, Any]] = []
        self.followed: list[tuple[Address, Watch]] = []
        self.outsides: dict[Address, Inspection] = {}

    def deliver(self, address: Address, envelope: Envelope, *, new: bool = False) -> None:
        self.delivered.append((address, envelope.body))

    def follow(self, address: Address, watch: Watch) -> Callable[[], None]:
        self.followed.append((address, watch))
        return lambda: self.followed.remove((address, watch))

    async def inspect(self, address: Address) -> Inspection | None:
        if not self.connected:
            raise HostUnreachable(self.name)
        return self.outsides.get(address)


class FakePeers:
    """All other hosts."""

    def __init__(self, *names: str) -> None:
        self.hosts = {name: FakeOutbound(name) for name in names}
        self.withdrawn: list[int] = []
        self.recalled: list[Callable[[Address], bool]] = []
        self.abandoned = 0

    def find(self, host: str) -> FakeOutbound | None:
        return self.hosts.get(host)

    def withdraw(self, shards: Collection[int]) -> None:
        self.withdrawn += shards

    def recall(self, wanted: Callable[[Address], bool]) -> list[tuple[Address, Envelope]]:
        self.recalled.append(wanted)
        return []

    def abandon(self) -> None:
        self.abandoned += 1

"""Wires over a network in memory, and a membership that a test moves by hand."""

import asyncio
from collections.abc import Callable, Mapping
from typing import cast

from perdure.actors.cluster.transport.endpoint import Endpoint, MemoryEndpoint
from perdure.actors.store.part import Part


class HandMembership:
    """The hosts of a daemon, set by a test: a `Membership`."""

    def __init__(self, me: str, *others: str) -> None:
        self.me = me
        self.part: Part | None = None
        self.timeline = ""
        self.told: list[str] = []  # reports of the wire
        self._others: dict[str, Endpoint] = {name: MemoryEndpoint(name) for name in others}
        self._watchers: list[Callable[[], None]] = []

    def others(self) -> Mapping[str, Endpoint]:
        return dict(self._others)

    def watch(self, changed: Callable[[], None]) -> None:
        self._watchers.append(changed)

    def reached(self, name: str, there: bool) -> None:
        self.told.append(f"{name} {'there' if there else 'gone'}")

    def refused(self, name: str) -> None:
        self.told.append(f"{name} refused")

    def come(self, *names: str) -> None:
        """Other hosts live from now on."""
        self._others |= {name: MemoryEndpoint(name) for name in names}
        self.tell()

    def come_at(self, name: str, endpoint: Endpoint) -> None:
        """Another host lives from now on, at an address outside of memory."""
        self._others[name] = endpoint
        self.tell()

    def go(self, *names: str) -> None:
        """Other hosts are dead from now on."""
        for name in names:
            del self._others[name]
        self.tell()

    def join_again(self, me: str) -> None:
        """This host lives under another name from now on."""
        self.me = me
        self.tell()

    def tell(self) -> None:
        for changed in self._watchers:
            changed()


class Notebook(asyncio.Protocol):
    """Records the messages of a connection."""

    def __init__(self) -> None:
        self.connection: asyncio.Transport | None = None
        self.got = b""
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connection = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self.got += data

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True

    def write(self, data: bytes) -> None:
        assert self.connection is not None
        self.connection.write(data)

    def close(self) -> None:
        assert self.connection is not None
        self.connection.abort()

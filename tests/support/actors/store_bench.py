"""A store under test, with short methods that write to it and read from it."""

from collections.abc import Mapping, Sequence
from typing import Any

from perdure.actors.address import Address, shard_of
from perdure.actors.store.contract import Inspection, Store, Stored, Write
from perdure.actors.store.errors import StoreError
from perdure.actors.store.part import Part

SHARDS = 8
PART = Part(1, 2)  # of a store in two parts; all writes of the conformance suites belong to it


class Bench:
    """A store, and the epochs of the one host that uses it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.fences: Mapping[int, int] = {}

    async def claim(self) -> None:
        self.fences = await self.store.claim("host", now_us=1)

    async def commit(self, *writes: Write) -> None:
        await self.store.commit(writes, self.fences)

    async def reopen(self) -> None:
        await self.store.close()
        await self.store.open()
        await self.claim()

    async def load(self, address: Address) -> Stored | None:
        (stored,) = await self.store.load([address])
        assert not isinstance(stored, StoreError), stored
        return stored

    async def inspect(self, address: Address) -> Inspection | None:
        (inspection,) = await self.store.inspect([address])
        assert not isinstance(inspection, StoreError), inspection
        return inspection

    async def log(self, address: Address) -> Sequence[bytes] | None:
        stored = await self.load(address)
        return None if stored is None else stored.entries


def write(key: int, address: Address, *, at_us: int = 1, **fields: Any) -> Write:
    return Write(key=key, address=address, shard=shard_of(address.id, SHARDS), at_us=at_us, **fields)

"""The messages to the actor of a state store, and its answers. Hosts send each other all of them but `BeginExpiry`.

The rule: a field never changes its meaning, and new ones go to the end, with a default.
"""

from typing import NamedTuple

from ...actors.address import Address
from ..directory import STATE


def state_address(store: str, kind: str = STATE) -> Address:
    """The actor that has all values of a store, so that all its keys are in one shard.

    Args:
        kind: The type of these actors, in the app that is meant.
    """
    return Address(kind, store)


class ItemChange(NamedTuple):
    """A value is saved, or forgotten."""

    name: str  # of the item: the key with its prefix
    value: bytes | None  # None: forgotten
    etag: str = ""  # the value must have it; "": any value
    first_write: bool = False  # there must be no value, if no etag is given
    ttl_us: int = 0  # time to live; microseconds; 0: for ever

    @property
    def conditional(self) -> bool:
        """Whether it depends on the value that is there."""
        return bool(self.etag) or self.first_write


class SeenItem(NamedTuple):
    """An item as a caller has read it."""

    version: int  # 0: it is not there
    expires_us: int


class ChangeItems(NamedTuple):
    """Make changes, in their order. Answered with ItemsChanged."""

    changes: list[ItemChange]
    whole: bool  # all of them, or none
    seen: dict[str, SeenItem]  # the items that conditional changes depend on
    seen_at: int  # the version of the store at that moment


class ExpireItems(NamedTuple):
    """Forget items that have expired. Answered with ItemsChanged."""

    items: list[tuple[str, int]]  # names and versions
    next_us: int  # when the next one expires; 0: there is none; below 0: unknown, and more such messages follow
    seen_at: int  # as above


class ItemsChanged(NamedTuple):
    """The outcome of changes."""

    stale: bool  # nothing was done: read the values again that they depend on
    refused: list[tuple[int, str]]  # the positions of changes that were not made, and why


class BeginExpiry(NamedTuple):
    """Look for items that have expired. Sent to the loop after the commit; no answer."""

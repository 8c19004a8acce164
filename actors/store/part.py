"""Parts of a store: the shards that one file holds, if each host of a daemon has a file.

The rule: the part that holds a shard never changes while the number of parts stays
the same. `perdure store spread` lays a store out anew for another number.

Stores check the part of their file; `actors/cluster/membership.py` finds the owner of a shard with it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """Part `index` of `of` parts. A store that is not divided is part 0 of 1."""

    index: int = 0
    of: int = 1

    def holds(self, shard: int) -> bool:
        """Whether this part has a shard."""
        return part_of(shard, self.of) == self.index

    def path(self, data: str) -> str:
        """The file of this part of a store at `data`: the first part has that name, the others a number after it."""
        return f"{data}.{self.index}" if self.index else data

    def __str__(self) -> str:
        return f"part {self.index + 1} of {self.of}"


WHOLE = Part()


def part_of(shard: int, parts: int) -> int:
    """The index of the part that holds a shard, of `parts` parts."""
    return shard % parts


def check_parts(parts: int, *, shards: int) -> None:
    """Check that each part gets a shard.

    Raises:
        ValueError: There are fewer shards than parts.
    """
    if not 1 <= parts <= shards:
        raise ValueError(
            f"a store of {shards} shards has 1 to {shards} parts, not {parts}: each holds at least a shard"
        )

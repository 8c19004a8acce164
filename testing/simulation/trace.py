"""The trace of a world: a hash of all steps and commits, and on demand the steps and lines themselves.

The rule: nothing in it depends on the process: no address, no hash of a text, no time of the machine. Two runs of
one seed have the same hash, in any process.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import zip_longest
from typing import NamedTuple


class TracedLine(NamedTuple):
    """An event of a world, as a line of the story."""

    at_s: float  # virtual seconds
    who: str  # "host 1", "disk", "story"
    what: str
    fault: bool = False

    def __str__(self) -> str:
        return f"{'!' if self.fault else ' '} {self.at_s:>14.6f} s  {self.who:8} {self.what}"


class WorldTrace:
    """Gathers the events of a world.

    Args:
        keep: Keep each step, to compare two runs; a hundred bytes each.

    Attributes:
        fingerprint: Returns a number made from all steps that the loop has taken (`SimLoop.fingerprint`).
    """

    def __init__(self, *, keep: bool = False) -> None:
        self.lines: list[TracedLine] = []
        self.steps: list[str] | None = [] if keep else None
        self.fingerprint: Callable[[], int] = int
        self._hash = blake2b(digest_size=16)

    @property
    def digest(self) -> str:
        """The hash of all so far, 32 hexadecimal digits."""
        digest = self._hash.copy()
        digest.update(b"%d" % self.fingerprint())
        return digest.hexdigest()

    def step(self, number: int, ready: int, at: int, now_s: float, where: str) -> None:
        """Keep a step of the loop; see `StepSeen`."""
        if self.steps is not None:
            self.steps.append(f"{round(now_s * 1e9)} ns: task {number}, {at} of {ready}: {where}")

    def bytes(self, what: str, written: bytes) -> None:
        """Note bytes that went to a machine."""
        self._hash.update(what.encode())
        self._hash.update(written)
        if self.steps is not None:
            self.steps.append(f"{what} {written.hex()}")

    def tell(self, at_s: float, who: str, what: str, *, fault: bool = False) -> None:
        """Note a line of the story."""
        self.lines.append(TracedLine(at_s, who, what, fault))

    def story(self) -> str:
        """The lines, one below the other; faults are marked."""
        return "\n".join(map(str, self.lines))


def first_difference(one: Sequence[str], other: Sequence[str]) -> tuple[int, str | None, str | None] | None:
    """The first place where two runs differ, with the step of each there; None if they are equal."""
    pairs = enumerate(zip_longest(one, other))
    return next(((at, left, right) for at, (left, right) in pairs if left != right), None)

"""Where two runs of the same choices part, in words.

The rule: of bytes that were written the text is shown which differs, for a person who knows the app and no format.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

from ...simulation.choices import Choices, Schedule
from ...simulation.trace import first_difference
from ..trial.running import WorldRunner

# A step that has written something, as a trace has it: the entry, the id of the instance, and the bytes.
WRITTEN = re.compile(r"\S+ (.*) ([0-9a-f]+)")
AROUND = 24  # so many bytes that are the same are shown on each side
NOT_TEXT = re.compile(r"[^ -~]+")


def difference(runner: WorldRunner, schedule: Schedule) -> str | None:
    """Where two runs of a schedule part, in words; None: they take the same steps."""
    one, other = (runner.run(Choices(schedule=schedule), keep=True).facts.steps for _ in range(2))
    return told_difference(one, other)


def told_difference(one: Sequence[str], other: Sequence[str]) -> str | None:
    """The first difference of the steps of two runs; None: there is none."""
    found = first_difference(one, other)
    if found is None:
        return None
    at, first, then = found
    left, right = (WRITTEN.fullmatch(step or "") for step in (first, then))
    if left is None or right is None or left[1] != right[1]:
        return f"step {at} was {first!r} and then {then!r}"
    what = " and then ".join(map(repr, _parting(bytes.fromhex(left[2]), bytes.fromhex(right[2]))))
    return f"what was written of {left[1]} had {what}"


def _parting(one: bytes, other: bytes) -> Iterator[str]:
    """The pieces in which two texts of bytes differ, as far as they can be read."""
    start = _same(one, other)
    end = _same(one[start:][::-1], other[start:][::-1])
    for each in (one, other):
        yield NOT_TEXT.sub("~", each[max(0, start - AROUND) : len(each) - end + AROUND].decode("latin-1"))


def _same(one: bytes, other: bytes) -> int:
    """With how many equal bytes two texts begin."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))

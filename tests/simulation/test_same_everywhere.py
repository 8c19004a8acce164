"""The same seed gives the same world, step by step and byte by byte: in another process, with another hash seed, and
after other worlds.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pytest

from ..support.paths import ROOT
from .kinds import KINDS

SEEDS = 100  # worlds of each kind
# Worlds that are cut short, and those that go on to their end.
SIZES = ["cut", pytest.param("small", marks=pytest.mark.slow)]
# The faults that a kind has and others have not, by the beginning of their streams; all kinds have kills.
OWN_FAULTS = {
    "clock": "clock.",
    "lossy": "request.",
    "forward": "deploy",
    "back": "deploy",
    "sqlite": "sqlite.",
    "postgres": "database.",
    "workers": "worker.",
    "hosts": "hosts.",
    "losing": "database.behind",
    "shared": "wire.",
    "poison": "hosts.",
    "rolling": "host.leave",
    "guests": "hosts.",
}
# A stream with this number of choices has struck.
OFTEN = 400
# The minimum number of worlds of a kind in which an instance has begun.
BEGUN_MIN = 15
SEEDS_PLANTED = 15
PATIENCE_S = 3_600.0  # for the slow ones on a machine that does other things too

RUN = f"import sys; sys.path.append({str(ROOT)!r}); from tests.simulation.digests import main; main()"


def begin(hash_seed: str, direction: str, size: str, kinds: Mapping[str, int], *flags: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUN, direction, size, *flags, *(f"{kind}={seeds}" for kind, seeds in kinds.items())],
        cwd="/",
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def digests(process: "subprocess.Popen[str]") -> list[str]:
    printed, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors[-4_000:]
    return sorted(printed.splitlines())


class Faults(NamedTuple):
    """A stream of faults, over all worlds of a kind."""

    kind: str
    stream: str
    drawn: int
    struck: int


def split(lines: Sequence[str]) -> tuple[list[str], list[Faults]]:
    """The worlds of a process, and the streams of their faults."""
    words = [line.split() for line in lines]
    faults = [Faults(each[0], each[1], int(each[3]), int(each[5])) for each in words if each[2] == "drawn"]
    return [line for line, each in zip(lines, words, strict=True) if each[2] != "drawn"], faults


@pytest.mark.parametrize("size", SIZES)
def test_worlds_are_the_same_in_two_processes_and_each_kind_of_fault_strikes_in_some(size: str) -> None:
    # A crowd is a plain world with more of the same.
    kinds = {kind: SEEDS for kind in KINDS if kind != "crowd"}
    # Given the worlds of each kind in two processes, with another hash seed and in the other order,
    with begin("1", "forwards", size, kinds) as forwards, begin("2", "backwards", size, kinds) as backwards:
        one, other = digests(forwards), digests(backwards)
    worlds, faults = split(one)
    # then they are the same,
    assert len(worlds) == sum(kinds.values())
    assert one == other
    # and an instance has begun in many of them.
    begun = Counter(kind for kind, *_, instances in map(str.split, worlds) if int(instances))
    assert min(begun[kind] for kind in kinds) >= BEGUN_MIN, begun
    if size == "cut":  # the others have the faults of usual worlds, which are seldom
        check_struck(faults, kinds)


def check_struck(faults: Sequence[Faults], kinds: Iterable[str]) -> None:
    """Each kind has had its faults in some world."""
    struck = [each for each in faults if each.struck]
    for kind in kinds:
        for beginning in ("kill.", OWN_FAULTS.get(kind, "store.")):
            assert any(each.kind == kind and each.stream.startswith(beginning) for each in struck), (kind, beginning)
    assert not [each for each in faults if each.drawn >= OFTEN and not each.struck]


def test_one_order_of_a_set_makes_other_worlds() -> None:
    # Given an engine that goes by the order of a set of texts as it recovers,
    kinds = {"plain": SEEDS_PLANTED}
    named = "small", kinds, "planted"
    with begin("1", "forwards", *named) as one, begin("2", "forwards", *named) as other:
        # then some worlds of two processes differ, small as they are.
        assert digests(one) != digests(other)
